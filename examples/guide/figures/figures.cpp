// Draws the pictures of docs/guide from what Duet computes: scripts/figures runs it, a test compares with what is
// checked in. Whole numbers, or sums and products in double precision: the same on every machine.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include <duet/duet.hpp>

#include "svg.hpp"

using namespace duet;

namespace {

constexpr double side = 26;
constexpr const char* small_color = "#cfe0f3";
constexpr const char* large_color = "#f7d9c4";
constexpr const char* held_color = "#ffd45e";

std::string rgb(int red, int green, int blue) {
  return "rgb(" + std::to_string(red) + "," + std::to_string(green) + "," + std::to_string(blue) + ")";
}

/// A plane (H, W) as cells; color and text for each value.
void plane(Svg& svg, double x, double y, const Tensor& values, const std::function<std::string(double)>& color,
           bool text) {
  const std::vector<double> v = values.to_vector();
  const std::int64_t width = values.size(1);
  for (std::int64_t i = 0; i < values.size(0); ++i)
    for (std::int64_t j = 0; j < width; ++j) {
      const double here = v[static_cast<std::size_t>(i * width + j)];
      svg.cell(x + side * static_cast<double>(j), y + side * static_cast<double>(i), side, color(here),
               text && here != 0 ? std::to_string(static_cast<int>(here)) : "");
    }
}

Tensor one_hot_plane(std::int64_t h, std::int64_t w, std::int64_t i, std::int64_t j) {
  Tensor t = zeros({1, 1, h, w});
  t.mutable_data<float>()[i * w + j] = 1;
  return t;
}

Tensor as_plane(const Tensor& t) { return reshape(t, {t.size(2), t.size(3)}); }

std::function<std::string(double)> two(const char* zero, const char* other) {
  return [=](double v) { return std::string(v == 0 ? zero : other); };
}

/// The tape of tanh(a b + a): a value in each box, a slope at each arrow, and below the boxes the gradients.
void tape(const std::string& folder) {
  Tensor a = Tensor::scalar(0.5, {.dtype = f64, .requires_grad = true});
  Tensor b = Tensor::scalar(-3, {.dtype = f64, .requires_grad = true});
  const Tensor m = a * b, s = m + a, y = tanh(s);
  for (const Tensor& t : {m, s, y}) retain_grad(t);
  y.backward();
  const auto number = [](double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", v);
    return std::string(text);
  };
  Svg svg(720, 220);
  const auto arrow = [&](double x0, double y0, double x1, double y1, const std::string& slope) {
    svg.line(x0, y0, x1, y1, "#777777", 1.5);
    svg.dot(x1, y1, 3, "#777777");
    svg.label((x0 + x1) / 2, (y0 + y1) / 2 - 6, slope, "middle", "#555555");
  };
  const auto box = [&](double x, double top, const std::string& what, const Tensor& t) {
    svg.bar(x, top, 110, 30, large_color);
    svg.label(x + 55, top + 20, what + " = " + number(t.item()), "middle");
    svg.label(x + 55, top + 48, "dy/d" + what.substr(0, 1) + " = " + number(t.grad().item()), "middle", "#b3541e");
  };
  arrow(130, 55, 420, 85, "1");
  arrow(130, 62, 220, 135, "b");
  arrow(130, 145, 220, 145, "a");
  arrow(330, 145, 420, 95, "1");
  arrow(530, 90, 590, 90, number((1 - y * y).item()));
  box(20, 40, "a", a);
  box(20, 130, "b", b);
  box(220, 130, "m", m);
  box(420, 75, "s", s);
  box(590, 75, "y", y);
  svg.label(245, 125, "m = a b");
  svg.label(440, 70, "s = m + a");
  svg.label(610, 70, "y = tanh s");
  svg.label(
      20, 212,
      "Values from left to right, gradients from right to left; two arrows leave a, so two gradients are added there.");
  svg.save(folder + "/tape.svg");
}

/// One input cell of conv_transpose2d and the window that it fills, tap by tap.
void scatter(const std::string& folder) {
  Svg svg(560, 250);
  const Tensor taps = reshape(arange(1, 10), {1, 1, 3, 3});
  svg.label(20, 24, "input x, one cell");
  plane(svg, 20, 36, as_plane(one_hot_plane(3, 3, 1, 1)), two(small_color, held_color), false);
  svg.label(150, 24, "weight w");
  plane(
      svg, 150, 36, as_plane(taps), [](double) { return std::string("#eeeeee"); }, true);
  svg.label(290, 24, "conv_transpose2d, stride 2: its window in y");
  plane(svg, 290, 36, as_plane(conv_transpose2d(one_hot_plane(3, 3, 1, 1), taps, {.stride = 2})),
        two(large_color, held_color), true);
  svg.save(folder + "/scatter.svg");
}

/// What each argument does to that window: one panel each, the cells that padding cuts off in grey, those that
/// output_padding adds darker; and which channels groups let meet.
void each_argument(const std::string& folder) {
  Svg svg(680, 500);
  const Tensor cell = one_hot_plane(3, 3, 1, 1), taps = reshape(arange(1, 10), {1, 1, 3, 3});
  const auto panel = [&](double x, double y, const char* title, const ConvTranspose2dOptions& options) {
    svg.label(x, y, title);
    ConvTranspose2dOptions whole = options, plain = options;
    whole.padding = 0;
    whole.output_padding = plain.output_padding = 0;
    plane(svg, x, y + 12, as_plane(conv_transpose2d(cell, taps, whole)), two("#eeeeee", "#eeeeee"), false);
    const Tensor result = as_plane(conv_transpose2d(cell, taps, options));
    const double cut = side * static_cast<double>(options.padding[0]);
    plane(svg, x + cut, y + 12 + cut, result, two("#e3a982", held_color), true);
    const std::int64_t inner = conv_transpose2d(cell, taps, plain).size(2);
    plane(svg, x + cut, y + 12 + cut, slice(slice(result, 0, 0, inner), 1, 0, inner), two(large_color, held_color),
          true);
  };
  panel(20, 24, "stride 1", {});
  panel(230, 24, "stride 2", {.stride = 2});
  panel(440, 24, "stride 2, padding 1", {.stride = 2, .padding = 1});
  panel(20, 264, "… and output_padding 1", {.stride = 2, .padding = 1, .output_padding = 1});
  panel(230, 264, "stride 1, dilation 2", {.dilation = 2});

  svg.label(440, 264, "groups 2: which channels meet");
  const std::int64_t in = 4, out = 6;
  const Tensor weight = ones({in, out / 2, 1, 1});
  for (std::int64_t i = 0; i < in; ++i) {
    Tensor one = zeros({1, in, 1, 1});
    one.mutable_data<float>()[i] = 1;
    const std::vector<double> reached = conv_transpose2d(one, weight, {.groups = 2}).to_vector();
    const double from = 302 + 39 * static_cast<double>(i);
    for (std::int64_t j = 0; j < out; ++j)
      if (reached[static_cast<std::size_t>(j)] != 0)
        svg.line(466, from + side / 2, 570, 276 + side * static_cast<double>(j) + side / 2);
    svg.cell(440, from, side, small_color);
  }
  for (std::int64_t j = 0; j < out; ++j) svg.cell(570, 276 + side * static_cast<double>(j), side, large_color);
  svg.label(440, 456, "4 in");
  svg.label(570, 456, "6 out");
  svg.save(folder + "/arguments.svg");
}

/// The same joins read both ways: what a cell of the large side gathers, and where a cell of the small side scatters.
void gather_scatter(const std::string& folder) {
  Svg svg(760, 280);
  const Tensor ones3 = ones({1, 1, 3, 3});
  const Conv2dOptions options{.stride = 2};
  svg.label(20, 24, "scatter: small (1, 1) reaches these cells of the large side");
  plane(svg, 20, 40, as_plane(one_hot_plane(3, 3, 1, 1)), two(small_color, held_color), false);
  plane(svg, 140, 40, as_plane(conv_transpose2d(one_hot_plane(3, 3, 1, 1), ones3, {.stride = 2})),
        two(large_color, held_color), false);
  svg.label(400, 24, "gather: large (2, 2) is fed by these of the small side");
  plane(svg, 400, 40, as_plane(conv2d(one_hot_plane(7, 7, 2, 2), ones3, options)), two(small_color, held_color), false);
  plane(svg, 520, 40, as_plane(one_hot_plane(7, 7, 2, 2)), two(large_color, held_color), false);
  svg.label(
      20, 255,
      "One table of joins: large = 2 small + tap. conv2d sums over it from the right, conv_transpose2d from the left.");
  svg.save(folder + "/gather_scatter.svg");
}

/// The matrix of a small conv1d and of conv_transpose1d.
void matrix(const std::string& folder) {
  const Tensor w = reshape(arange(1, 4), {1, 1, 3});
  const auto matrix_of = [&](bool transpose, std::int64_t n) {
    const Tensor units = reshape(eye(n), {n, 1, n});
    const Tensor columns = transpose ? conv_transpose1d(units, w, {.stride = 2, .padding = 1})
                                     : conv1d(units, w, {.stride = 2, .padding = 1});
    return contiguous(permute(reshape(columns, {n, -1}), {1, 0}));
  };
  static constexpr const char* colors[] = {"#ffffff", "#d9ead3", "#b6d7a8", "#93c47d"};
  const auto color = [](double v) { return std::string(colors[static_cast<int>(v)]); };
  Svg svg(460, 250);
  svg.label(20, 24, "conv1d, stride 2: 7 to 4");
  plane(svg, 20, 36, matrix_of(false, 7), color, true);
  svg.label(290, 24, "conv_transpose1d: 4 to 7");
  plane(svg, 290, 36, matrix_of(true, 4), color, true);
  svg.save(folder + "/matrix.svg");
}

/// How many products meet in each cell of the output, for some kernels and strides.
void overlap(const std::string& folder) {
  struct Pair {
    std::int64_t kernel, stride;
  };
  Svg svg(920, 300);
  double x = 20;
  for (const Pair p : {Pair{2, 2}, Pair{3, 2}, Pair{4, 2}, Pair{5, 3}}) {
    const std::int64_t n = p.stride == 3 ? 3 : 4;
    const Tensor count =
        as_plane(conv_transpose2d(ones({1, 1, n, n}), ones({1, 1, p.kernel, p.kernel}), {.stride = p.stride}));
    const double most = amax(count).item();
    svg.label(x, 24, "kernel " + std::to_string(p.kernel) + ", stride " + std::to_string(p.stride));
    const double cell = 18;
    const std::vector<double> v = count.to_vector();
    const std::int64_t width = count.size(1);
    for (std::int64_t i = 0; i < width; ++i)
      for (std::int64_t j = 0; j < width; ++j) {
        const double here = v[static_cast<std::size_t>(i * width + j)];
        const int shade = 255 - static_cast<int>(here / most * 150);
        svg.cell(x + cell * static_cast<double>(j), 36 + cell * static_cast<double>(i), cell,
                 rgb(255, (shade + 255) / 2, shade), std::to_string(static_cast<int>(here)));
      }
    x += cell * static_cast<double>(width) + 40;
  }
  svg.label(20, 280, "Even away from the border only where the stride divides the kernel.");
  svg.save(folder + "/overlap.svg");
}

/// The error of a central difference against its step, on logarithmic axes.
void differences(const std::string& folder) {
  const auto f = [](double x) { return x * x * x * x * x; };
  const double at = 0.7, exact = 5 * at * at * at * at;
  Svg svg(620, 400);
  const auto px = [](double log_h) { return 80 + (log_h + 13) * 38; };
  const auto py = [](double log_error) { return 40 - log_error * 22; };
  for (int d = 0; d <= 14; d += 2) {
    svg.line(80, py(-d), 575, py(-d), "#e6e2d8");
    svg.label(70, py(-d) + 4, "1e-" + std::to_string(d), "end");
  }
  for (int d = 1; d <= 13; d += 2) {
    svg.line(px(-d), 40, px(-d), py(-14), "#e6e2d8");
    svg.label(px(-d), py(-14) + 18, "1e-" + std::to_string(d), "middle");
  }
  for (int k = 2; k <= 52; ++k) {
    const double log_h = -k / 4.0,
                 h = std::ldexp(1.0, static_cast<int>(std::lround(log_h * 3.321928)));  // a power of 2
    const double error = std::abs((f(at + h) - f(at - h)) / (2 * h) - exact) / exact;
    if (error > 0) svg.dot(px(std::log10(h)), py(std::log10(error)), 3, "#2f6db3");
  }
  svg.line(px(-1), py(-1.31), px(-5), py(-9.31), "#b3541e", 1.5);
  svg.label(px(-2.4) + 8, py(-5) + 4, "truncation, h^2", "start", "#b3541e");
  svg.line(px(-6), py(-11.2), px(-13), py(-4.2), "#3c8a3c", 1.5);
  svg.label(px(-9), py(-7), "round-off, 1/h", "start", "#3c8a3c");
  svg.label(330, py(-14) + 40, "step h", "middle");
  svg.label(80, 24, "relative error of (f(x + h) - f(x - h)) / 2h for f = x^5 at 0.7");
  svg.save(folder + "/differences.svg");
}

/// A loss of two numbers as a map, and the way that gradient descent, with gradients from the tape, takes on it.
void landscape(const std::string& folder) {
  const auto loss = [](const Tensor& a, const Tensor& b) { return (1 - a) * (1 - a) + (b - a * a) * (b - a * a) * 3; };
  const std::int64_t n = 60;
  const double cell = 7;
  Svg svg(460, 490);
  const Tensor a = reshape(linspace(-1.5, 1.5, n, {.dtype = f64}), {1, n}),
               b = reshape(linspace(2, -1, n, {.dtype = f64}), {n, 1});
  const std::vector<double> values = loss(a, b).to_vector();
  const auto band_at = [&](std::int64_t i, std::int64_t j) {
    const double v = values[static_cast<std::size_t>(i * n + j)];
    int band = 0;  // doubling bands, without a logarithm that machines might round differently
    for (double edge = 0.05; edge < v && band < 9; edge *= 2) ++band;
    return band;
  };
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0, end = 0; j < n; j = end) {
      const int band = band_at(i, j);
      for (end = j + 1; end < n && band_at(i, end) == band;) ++end;
      svg.bar(20 + cell * static_cast<double>(j), 40 + cell * static_cast<double>(i),
              cell * static_cast<double>(end - j), cell, rgb(235 - 15 * band, 245 - 12 * band, 250 - 6 * band));
    }
  Tensor p = Tensor::from_span(std::vector<double>{-1.2, 1.6}, {2});
  const auto at = [&](const Tensor& t, double& x, double& y) {
    x = 20 + (t.to_vector()[0] + 1.5) / 3 * cell * n;
    y = 40 + (2 - t.to_vector()[1]) / 3 * cell * n;
  };
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  for (int step = 0; step < 120; ++step) {
    p.set_requires_grad();
    const Tensor slope = grad({loss(select(p, 0, 0), select(p, 0, 1))}, {p})[0];
    at(p, x0, y0);
    p = (p - slope * 0.03125).detach();
    at(p, x1, y1);
    svg.line(x0, y0, x1, y1, "#b3541e", 2);
    svg.dot(x0, y0, 2.2, "#b3541e");
  }
  svg.label(20, 24, "(1 - a)^2 + 3 (b - a^2)^2, a to the right, b upwards");
  svg.save(folder + "/landscape.svg");
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
    return 2;
  }
  for (const auto draw : {tape, scatter, each_argument, gather_scatter, matrix, overlap, differences, landscape})
    draw(arguments[1]);
}
