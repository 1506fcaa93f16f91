// A call that must fail: with its type of error and a piece of the message. For tables of such calls.
#pragma once

#include <exception>
#include <string>
#include <vector>

#include <duet/core/error.hpp>
#include <duet/core/tensor.hpp>

namespace bad_input {

enum class Kind { shape, dtype, value, io, autograd };

struct BadCall {
  Kind kind;
  const char* text;  ///< what the message must hold
  void (*call)();
};

inline const char* kind_of(const duet::Error& error) {
  if (dynamic_cast<const duet::ShapeError*>(&error) != nullptr) return "ShapeError";
  if (dynamic_cast<const duet::DtypeError*>(&error) != nullptr) return "DtypeError";
  if (dynamic_cast<const duet::ValueError*>(&error) != nullptr) return "ValueError";
  if (dynamic_cast<const duet::IoError*>(&error) != nullptr) return "IoError";
  if (dynamic_cast<const duet::AutogradError*>(&error) != nullptr) return "AutogradError";
  return "another";
}

inline const char* name(Kind kind) {
  constexpr const char* names[] = {"ShapeError", "DtypeError", "ValueError", "IoError", "AutogradError"};
  return names[static_cast<int>(kind)];
}

/// What is wrong with how a call fails; empty if nothing is.
inline std::string wrong_with(const BadCall& one) {
  try {
    one.call();
    return "no error";
  } catch (const duet::Error& error) {
    const std::string message = error.what();
    if (message.find(one.text) == std::string::npos) return "another text: " + message;
    if (std::string(kind_of(error)) != name(one.kind)) return std::string(kind_of(error)) + ": " + message;
    if (message.front() != '[' || message.find("] ") == std::string::npos) return "no [op]: " + message;
  } catch (const std::exception& error) {
    return std::string("an error of another library: ") + error.what();
  }
  return {};
}

/// Values of the defined tensors, one after the other.
inline std::vector<double> values(const duet::Tensors& tensors) {
  std::vector<double> all;
  for (const duet::Tensor& tensor : tensors)
    if (tensor.defined())
      for (const double v : tensor.to_vector()) all.push_back(v);
  return all;
}

}  // namespace bad_input
