// A report that is one HTML file: text, tables, curves as inline SVG, pictures as base64 PNG. It needs no network, and
// no script but the line that moves a scrubber.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <duet/core/tensor.hpp>

namespace duet::examples {

/// Points of a curve; x must not fall.
struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;
};

/// A chart of curves over a common x axis, as an SVG element. Points that are not finite are left out. With `fixed`
/// low < high the y axis is that; else it fits the points.
struct Chart {
  std::string title, x_label;
  std::vector<Curve> curves;
  double low = 0, high = 0;
};
std::string to_svg(const Chart& chart);

class Report {
 public:
  explicit Report(std::string title);
  void heading(const std::string& text);
  void paragraph(const std::string& text);
  /// Rows of cells, the first of them the head.
  void table(const std::vector<std::vector<std::string>>& rows);
  /// Charts side by side.
  void charts(const std::vector<Chart>& charts);
  /// An image (see write_png) with a caption.
  void picture(const Tensor& image, const std::string& caption);
  /// Images of one size with captions, of which a slider shows one; the last at first. ValueError for none, or another
  /// number of captions.
  void scrubber(const std::vector<Tensor>& images, const std::vector<std::string>& captions);
  std::string html() const;

 private:
  std::string title_, body_;
};

}  // namespace duet::examples
