// to_string(Tensor): values laid out as NumPy lays out an array (its defaults: 8 digits, lines of 75 columns,
// an ellipsis above 1000 elements), then shape, dtype and whether it requires a gradient.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include <duet/core/fail.hpp>
#include <duet/core/raw.hpp>

namespace duet {
namespace {

constexpr int digits = 8;                   // after the point
constexpr std::size_t line_width = 75;      // columns
constexpr std::int64_t summary_above = 1000;  // elements
constexpr std::int64_t edge = 3;            // elements kept at each end of a summarised dimension

/// The indices printed along a dimension; -1 stands for the ellipsis.
std::vector<std::int64_t> shown(std::int64_t size, bool summarise) {
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < size; ++i) {
    if (summarise && size > 2 * edge && i == edge) {
      indices.push_back(-1);
      i = size - edge;
    }
    indices.push_back(i);
  }
  return indices;
}

/// A number's text, cut at the point: "12" "5", or in scientific notation "1" "25" "-08". The point is printed
/// between the first two; whole numbers and words ("nan") have no second part and say so.
struct NumberText {
  std::string whole, fraction, exponent;
  bool word = false;
};

/// The shortest digits that give the value back, but at most `digits` after the point.
template <class T>
NumberText split(T value, bool scientific) {
  if (!std::isfinite(value)) return {std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf", "", "", true};
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
  char buffer[512];  // f64 needs up to 325 characters in fixed notation
  char* end = std::to_chars(buffer, std::end(buffer), value, format).ptr;
  NumberText text;
  const auto cut = [&] {
    std::string_view all(buffer, static_cast<std::size_t>(end - buffer));
    if (const auto e = all.find('e'); scientific) {
      text.exponent = all.substr(e + 1);
      all = all.substr(0, e);
    }
    const auto point = all.find('.');
    text.whole = all.substr(0, point);
    text.fraction = point == all.npos ? "" : all.substr(point + 1);
  };
  cut();
  if (text.fraction.size() > static_cast<std::size_t>(digits)) {
    end = std::to_chars(buffer, std::end(buffer), value, format, digits).ptr;
    cut();
    text.fraction.erase(text.fraction.find_last_not_of('0') + 1);
  }
  return text;
}

/// Whether a column with these magnitudes reads better in scientific notation (NumPy's rule).
bool needs_scientific(const std::vector<double>& values) {
  double largest = 0, smallest = HUGE_VAL;
  for (double value : values)
    if (std::isfinite(value) && value != 0) {
      largest = std::max(largest, std::fabs(value));
      smallest = std::min(smallest, std::fabs(value));
    }
  return largest != 0 && (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000);
}

/// Texts of equal width, points under each other.
std::vector<std::string> align(std::vector<NumberText> numbers, bool scientific) {
  std::size_t whole = 0, fraction = 0, exponent = 0;
  for (const NumberText& number : numbers)
    if (!number.word) {
      whole = std::max(whole, number.whole.size());
      fraction = std::max(fraction, number.fraction.size());
      exponent = std::max(exponent, number.exponent.size());
    }
  const std::size_t behind_point = fraction + (scientific && exponent ? exponent + 1 : 0);
  std::size_t width = whole + 1 + behind_point;
  for (const NumberText& number : numbers)
    if (number.word) width = std::max(width, number.whole.size());
  std::vector<std::string> texts;
  for (NumberText& number : numbers) {
    if (number.word) {
      texts.push_back(fmt::format("{:>{}}", number.whole, width));
      continue;
    }
    if (scientific) {
      // "+5" becomes "+005" beside "+100".
      number.exponent.insert(1, exponent - number.exponent.size(), '0');
      number.fraction.append(fraction - number.fraction.size(), '0');
      number.fraction += "e" + number.exponent;
    }
    texts.push_back(fmt::format("{:>{}}.{:<{}}", number.whole, width - 1 - behind_point, number.fraction, behind_point));
  }
  return texts;
}

template <class T>
std::vector<std::string> texts_of(const std::vector<T>& values) {
  std::vector<std::string> texts;
  if constexpr (std::is_floating_point_v<T>) {
    const bool scientific = needs_scientific(std::vector<double>(values.begin(), values.end()));
    std::vector<NumberText> numbers;
    for (T value : values) numbers.push_back(split(value, scientific));
    return align(std::move(numbers), scientific);
  } else {
    std::size_t width = 0;
    for (T value : values) texts.push_back(fmt::format("{}", value)), width = std::max(width, texts.back().size());
    for (std::string& text : texts) text.insert(0, width - text.size(), ' ');
    return texts;
  }
}

/// Puts the texts of the shown elements, in row-major order, between brackets.
class Layout {
 public:
  Layout(const Shape& shape, bool summarise, std::vector<std::string> texts)
      : shape_(shape), summarise_(summarise), texts_(std::move(texts)) {}

  std::string print() {
    if (shape_.rank() == 0) return texts_[0];
    block(0);
    return std::move(out_);
  }

 private:
  // One call a dimension: depth is at most max_rank.
  void block(int axis) {
    const bool last = axis + 1 == shape_.rank();
    out_ += '[';
    std::size_t column = static_cast<std::size_t>(axis) + 1;
    bool first = true;
    for (std::int64_t index : shown(shape_[axis], summarise_)) {
      if (!last) {
        if (!first) new_row(axis, shape_.rank() - axis - 1);
        if (index < 0) out_ += "...";
        else block(axis + 1);
      } else {
        word(axis, index < 0 ? "..." : texts_[next_++], column, first);
      }
      first = false;
    }
    out_ += ']';
  }

  /// `count` line ends, then the indent of what stands inside bracket number `axis`.
  void new_row(int axis, int count) {
    out_.append(static_cast<std::size_t>(count), '\n').append(static_cast<std::size_t>(axis) + 1, ' ');
  }

  void word(int axis, const std::string& text, std::size_t& column, bool first) {
    const std::size_t indent = static_cast<std::size_t>(axis) + 1;
    // Room for the closing brackets is kept on every line.
    const std::size_t room = line_width - static_cast<std::size_t>(shape_.rank());
    if (!first && column + 1 + text.size() > room) {
      new_row(axis, 1);
      column = indent;
    } else if (!first) {
      out_ += ' ';
      ++column;
    }
    out_ += text;
    column += text.size();
  }

  const Shape& shape_;
  bool summarise_;
  std::vector<std::string> texts_;
  std::size_t next_ = 0;
  std::string out_;
};

/// The elements that are printed, in row-major order.
template <class T>
std::vector<T> shown_values(const Tensor& tensor, bool summarise) {
  std::vector<std::int64_t> offsets{0};
  for (int axis = 0; axis < tensor.rank(); ++axis) {
    std::vector<std::int64_t> next;
    for (std::int64_t offset : offsets)
      for (std::int64_t index : shown(tensor.shape()[axis], summarise))
        if (index >= 0) next.push_back(offset + index * tensor.strides()[axis]);
    offsets = std::move(next);
  }
  std::vector<T> values;
  for (std::int64_t offset : offsets) values.push_back(raw::data<T>(tensor)[offset]);
  return values;
}

std::string values_to_string(const Tensor& tensor) {
  if (tensor.numel() == 0) return "[]";
  const bool summarise = tensor.numel() > summary_above;
  return raw::dispatch_all(tensor.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return Layout(tensor.shape(), summarise, texts_of(shown_values<T>(tensor, summarise))).print();
  });
}

}  // namespace

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  return values_to_string(tensor) + " " + to_string(spec_of(tensor)) + (tensor.requires_grad() ? " requires_grad" : "");
}

}  // namespace duet
