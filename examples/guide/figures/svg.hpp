// A picture in SVG, written as text with one decimal: the same numbers give the same file on every machine.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

class Svg {
 public:
  Svg(double width, double height) {
    put("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
        "font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        width, height, width, height);
  }

  void cell(double x, double y, double side, const std::string& fill, const std::string& text = "",
            const std::string& stroke = "#b8b2a5", double line = 1) {
    put("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" stroke=\"%s\" "
        "stroke-width=\"%.1f\"/>\n",
        x, y, side, side, fill.c_str(), stroke.c_str(), line);
    if (!text.empty()) label(x + side / 2, y + side / 2 + 4, text, "middle");
  }
  void bar(double x, double y, double width, double height, const std::string& fill) {
    put("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", x, y, width, height,
        fill.c_str());
  }
  void label(double x, double y, const std::string& text, const char* anchor = "start", const char* fill = "#1d2433") {
    put("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n", x, y, anchor, fill, text.c_str());
  }
  void line(double x1, double y1, double x2, double y2, const char* stroke = "#7a7f8a", double width = 1) {
    put("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-width=\"%.1f\"/>\n", x1, y1, x2, y2,
        stroke, width);
  }
  void dot(double x, double y, double radius, const char* fill) {
    put("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\"/>\n", x, y, radius, fill);
  }

  void save(const std::string& path) const {
    std::ofstream file(path);
    file << text_ << "</svg>\n";
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
  }

 private:
  __attribute__((format(printf, 2, 3))) void put(const char* format, ...) {
    char buffer[512];
    va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    if (length < 0 || length >= static_cast<int>(sizeof buffer)) throw std::runtime_error("an SVG element is too long");
    text_ += buffer;
  }
  std::string text_;
};
