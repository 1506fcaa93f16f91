// HTML and SVG by hand. Everything that comes from outside is escaped.
#include "common/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <duet/core/fail.hpp>
#include <duet/nn/data/png.hpp>

namespace duet::examples {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

std::string base64(std::span<const std::uint8_t> bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? bytes[i + k] : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += k <= count ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

/// A round step that cuts [low, high] into about five parts: 1, 2 or 5 times a power of ten.
double tick_step(double range) {
  const double raw = range / 5, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (raw <= factor * power) return factor * power;
  return 10 * power;
}

/// Where the plot lies in the picture, and what it shows.
struct Frame {
  double low_x, high_x, low_y, high_y;
  static constexpr double left = 56, right = 470, top = 34, bottom = 236;
  double x(double value) const { return left + (value - low_x) / (high_x - low_x) * (right - left); }
  double y(double value) const { return bottom - (value - low_y) / (high_y - low_y) * (bottom - top); }
};

Frame frame_of(const Chart& chart) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Frame frame{infinity, -infinity, infinity, -infinity};
  for (const Curve& curve : chart.curves)
    for (const auto& [x, y] : curve.points)
      if (std::isfinite(x) && std::isfinite(y)) {
        frame.low_x = std::min(frame.low_x, x);
        frame.high_x = std::max(frame.high_x, x);
        frame.low_y = std::min(frame.low_y, y);
        frame.high_y = std::max(frame.high_y, y);
      }
  if (frame.low_x > frame.high_x) frame = {0, 1, 0, 1};
  if (chart.low < chart.high) {
    frame.low_y = chart.low;
    frame.high_y = chart.high;
  }
  const double margin = (frame.high_y - frame.low_y) * 0.05;
  if (!(chart.low < chart.high)) {
    frame.low_y -= margin;
    frame.high_y += margin;
  }
  if (frame.high_x <= frame.low_x) frame.high_x = frame.low_x + 1;
  if (frame.high_y - frame.low_y < 1e-12) {
    frame.low_y -= 0.5;
    frame.high_y += 0.5;
  }
  return frame;
}

std::string grid(const Frame& frame) {
  std::string out;
  const double step_y = tick_step(frame.high_y - frame.low_y), step_x = tick_step(frame.high_x - frame.low_x);
  for (double v = std::ceil(frame.low_y / step_y) * step_y; v <= frame.high_y + 1e-9 * step_y; v += step_y)
    out += fmt::format(
        "<line x1='{:.1f}' x2='{:.1f}' y1='{:.1f}' y2='{:.1f}' class='grid'/>"
        "<text x='{:.1f}' y='{:.1f}' text-anchor='end'>{:.4g}</text>\n",
        Frame::left, Frame::right, frame.y(v), frame.y(v), Frame::left - 6, frame.y(v) + 4,
        std::abs(v) < 1e-9 * step_y ? 0 : v);
  for (double v = std::ceil(frame.low_x / step_x) * step_x; v <= frame.high_x + 1e-9 * step_x; v += step_x)
    out += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='middle'>{:.6g}</text>\n", frame.x(v),
                       Frame::bottom + 16, v);
  return out;
}

constexpr const char* colours[] = {"#0b6e99", "#d9730d", "#4d8a3d", "#9b3f8f", "#c03a3a", "#6b6b6b"};

constexpr const char* style =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1060px;margin:32px auto;padding:0 16px;color:#222}"
    "h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:32px 0 8px}"
    "table{border-collapse:collapse;font-size:14px}td,th{padding:3px 14px 3px 0;text-align:left;"
    "border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums;vertical-align:top}"
    ".charts{display:flex;flex-wrap:wrap;gap:16px}svg{border:1px solid #e4e4e4;border-radius:6px}"
    "svg text{font:12px system-ui,sans-serif;fill:#555}svg .title{font-size:14px;fill:#222;font-weight:600}"
    "svg .grid{stroke:#e8e8e8}figure{margin:14px 0}figure img{max-width:100%;image-rendering:pixelated;"
    "border:1px solid #e4e4e4}figcaption{color:#555;font-size:14px}";

}  // namespace

std::string to_svg(const Chart& chart) {
  const Frame frame = frame_of(chart);
  std::string out = fmt::format(
      "<svg width='490' height='276' viewBox='0 0 490 276' role='img'><text x='{}' y='20' class='title'>{}</text>\n",
      Frame::left, escaped(chart.title));
  out += grid(frame);
  out += fmt::format("<text x='{:.0f}' y='{:.0f}' text-anchor='end'>{}</text>\n", Frame::right, Frame::bottom + 33,
                     escaped(chart.x_label));
  double legend = Frame::left;
  for (std::size_t i = 0; i < chart.curves.size(); ++i) {
    const Curve& curve = chart.curves[i];
    const char* colour = colours[i % std::size(colours)];
    std::string points, dots;
    std::size_t count = 0;
    for (const auto& [x, y] : curve.points)
      if (std::isfinite(x) && std::isfinite(y)) {
        const double clipped = std::clamp(y, frame.low_y, frame.high_y);
        points += fmt::format("{:.1f},{:.1f} ", frame.x(x), frame.y(clipped));
        dots +=
            fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='2.5' fill='{}'/>", frame.x(x), frame.y(clipped), colour);
        ++count;
      }
    out += fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='1.8'/>\n", points, colour);
    if (count <= 40) out += dots + "\n";
    out += fmt::format(
        "<rect x='{:.0f}' y='{:.0f}' width='12' height='3' fill='{}'/><text x='{:.0f}' y='{:.0f}'>{}</text>\n", legend,
        Frame::bottom + 27, colour, legend + 17, Frame::bottom + 33, escaped(curve.name));
    legend += 36 + 7.0 * static_cast<double>(curve.name.size());
  }
  return out + "</svg>\n";
}

Report::Report(std::string title) : title_(std::move(title)) {}

void Report::heading(const std::string& text) { body_ += "<h2>" + escaped(text) + "</h2>\n"; }

void Report::paragraph(const std::string& text) { body_ += "<p>" + escaped(text) + "</p>\n"; }

void Report::table(const std::vector<std::vector<std::string>>& rows) {
  body_ += "<table>\n";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const char* cell = i == 0 ? "th" : "td";
    body_ += "<tr>";
    for (const std::string& text : rows[i]) body_ += fmt::format("<{0}>{1}</{0}>", cell, escaped(text));
    body_ += "</tr>\n";
  }
  body_ += "</table>\n";
}

void Report::charts(const std::vector<Chart>& charts) {
  body_ += "<div class='charts'>\n";
  for (const Chart& chart : charts) body_ += to_svg(chart);
  body_ += "</div>\n";
}

void Report::picture(const Tensor& image, const std::string& caption) {
  body_ +=
      fmt::format("<figure><img alt=\"{0}\" src=\"data:image/png;base64,{1}\"><figcaption>{0}</figcaption></figure>\n",
                  escaped(caption), base64(data::encode_png(image)));
}

void Report::scrubber(const std::vector<Tensor>& images, const std::vector<std::string>& captions) {
  if (images.empty() || images.size() != captions.size())
    fail<ValueError>("report", "{} images with {} captions", images.size(), captions.size());
  body_ += "<figure class='scrubber'>";
  for (std::size_t i = 0; i < images.size(); ++i)
    body_ +=
        fmt::format("<div{0}><img alt=\"{1}\" src=\"data:image/png;base64,{2}\"><figcaption>{1}</figcaption></div>\n",
                    i + 1 == images.size() ? "" : " hidden", escaped(captions[i]), base64(data::encode_png(images[i])));
  body_ += fmt::format(
      "<input type='range' min='0' max='{0}' value='{0}' style='width:100%' oninput=\"for (const [i, picture] of "
      "this.parentNode.querySelectorAll('div').entries()) picture.hidden = i != this.value\"></figure>\n",
      images.size() - 1);
}

std::string Report::html() const {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\n"
      "<style>{1}</style></head><body>\n<h1>{0}</h1>\n{2}</body></html>\n",
      escaped(title_), style, body_);
}

}  // namespace duet::examples
