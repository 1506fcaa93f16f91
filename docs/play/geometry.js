// The index arithmetic of one axis, and nothing else: which input cells and kernel taps make which output cells.
// The page draws it; tests/play compares it with what Duet itself computes.
//
// An axis joins a small side (conv_transpose2d's input, conv2d's output) with a large side (the other way round):
// tap t joins small cell s with large cell l = s * stride - padding + t * dilation, wherever both exist.
"use strict";

const Geometry = (() => {
  /** What is wrong with the settings of an axis, as sentences; an empty list where nothing is. */
  function problems(op, axis) {
    const list = [];
    const whole = (name, least) => {
      const value = axis[name];
      if (!Number.isInteger(value)) list.push(`${name} must be a whole number`);
      else if (value < least) list.push(least === 0 ? `${name} must not be negative, got ${value}`
                                                    : `${name} must be at least ${least}, got ${value}`);
    };
    whole("size", 1);
    whole("kernel", 1);
    whole("stride", 1);
    whole("padding", 0);
    whole("dilation", 1);
    if (op === "conv_transpose2d") whole("output_padding", 0);
    if (list.length > 0) return list;
    const { size, kernel, stride, padding, dilation } = axis;
    if (op === "conv_transpose2d") {
      const bound = Math.max(stride, dilation);
      if (axis.output_padding >= bound)
        list.push(`output_padding must be in [0, max(stride, dilation)), got ${axis.output_padding} with stride ${stride} ` +
                  `and dilation ${dilation}: with ${bound} or more, another input size would reach the same output`);
      else if (transposeSize(axis) < 1)
        list.push(`the output would have size ${transposeSize(axis)}: padding ${padding} takes away all that is scattered`);
    } else if (convSize(axis) < 1) {
      list.push(`kernel ${kernel} (dilated: ${dilation * (kernel - 1) + 1}) does not fit the size ${size} (padded: ${size + 2 * padding})`);
    }
    return list;
  }

  /** Output size of conv_transpose2d along an axis whose input has `size` cells. */
  function transposeSize({ size, kernel, stride, padding, output_padding, dilation }) {
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1;
  }

  /** Output size of conv2d along an axis whose input has `size` cells; below 1 where the kernel does not fit. */
  function convSize({ size, kernel, stride, padding, dilation }) {
    return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
  }

  /** The axis as both ops share it: {small, large, kernel, stride, padding, dilation}. */
  function shared(op, axis) {
    const { size, kernel, stride, padding, dilation } = axis;
    return op === "conv_transpose2d" ? { small: size, large: transposeSize(axis), kernel, stride, padding, dilation }
                                     : { small: convSize(axis), large: size, kernel, stride, padding, dilation };
  }

  /** What small cell s joins: a list of {cell, tap} of large cells, in the order of the taps. */
  function ofSmall(g, s) {
    const joined = [];
    for (let tap = 0; tap < g.kernel; ++tap) {
      const cell = s * g.stride - g.padding + tap * g.dilation;
      if (cell >= 0 && cell < g.large) joined.push({ cell, tap });
    }
    return joined;
  }

  /** What large cell l joins: a list of {cell, tap} of small cells, in the order of the taps. */
  function ofLarge(g, l) {
    const joined = [];
    for (let tap = 0; tap < g.kernel; ++tap) {
      const reach = l + g.padding - tap * g.dilation;
      if (reach >= 0 && reach % g.stride === 0 && reach / g.stride < g.small) joined.push({ cell: reach / g.stride, tap });
    }
    return joined;
  }

  /** How many products meet in each large cell: the overlap map of one axis; that of a plane is the product of two. */
  function overlap(g) {
    return Array.from({ length: g.large }, (_, l) => ofLarge(g, l).length);
  }

  /** The output sizes that conv_transpose2d reaches, each with the output_padding that it needs. */
  function reachable(axis) {
    const sizes = [];
    for (let extra = 0; extra < Math.max(axis.stride, axis.dilation); ++extra) {
      const size = transposeSize({ ...axis, output_padding: extra });
      if (size >= 1) sizes.push({ size, output_padding: extra });
    }
    return sizes;
  }

  /** Large cells that lie behind the last one that any tap of conv2d reads: what an inexact stride leaves over. */
  function unread(g) {
    return Math.max(0, g.large - ((g.small - 1) * g.stride - g.padding + g.dilation * (g.kernel - 1) + 1));
  }

  return { problems, transposeSize, convSize, shared, ofSmall, ofLarge, overlap, reachable, unread };
})();
