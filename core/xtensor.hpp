// The bridge to xtensor, without copies where the memory allows: a tensor seen as an xt expression, an xt container
// seen as a tensor, and tensors made from xt expressions. One of the two public headers that need another library.
//
//   auto view = duet::xt_view<float>(tensor);                     // read: xt::sum(view), view(0, 1), …
//   duet::xt_mutable_view<float>(tensor) = xt::exp(view);         // write
//   duet::Tensor t = duet::from_xt(xt::linspace<double>(0, 1));   // evaluates into a new tensor
//   duet::Tensor w = duet::wrap_xt(std::move(array));             // no copy, the tensor owns the array
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#if __has_include(<xtensor/containers/xadapt.hpp>)  // xtensor 0.26 moved its headers
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/core/xnoalias.hpp>
#include <xtensor/core/xoperation.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xoperation.hpp>
#endif

#include <duet/core/raw.hpp>
#include <duet/core/tape.hpp>
#include <duet/core/tensor.hpp>

namespace duet {

namespace detail {

/// The elements under a view for reading.
template <class T>
using ReadElements = xt::xbuffer_adaptor<const T*, xt::smart_ownership, std::shared_ptr<const void>>;

/// The elements under a view for writing. Assignment writes them; xtensor's own buffer would only point elsewhere.
template <class T>
class WriteElements : public xt::xbuffer_adaptor<T*, xt::smart_ownership, std::shared_ptr<const void>> {
 public:
  using Buffer = xt::xbuffer_adaptor<T*, xt::smart_ownership, std::shared_ptr<const void>>;
  using Buffer::Buffer;
  using Buffer::operator=;
  WriteElements(const WriteElements&) = default;
  WriteElements& operator=(const WriteElements& other) {
    this->resize(other.size());  // throws for another size
    std::copy(other.cbegin(), other.cend(), this->begin());
    return *this;
  }
};

/// Counts as a writer on a storage for as long as it lives.
class WriteLease {
 public:
  explicit WriteLease(std::shared_ptr<Storage> storage) : storage_(std::move(storage)) { storage_->begin_write(); }
  ~WriteLease() { storage_->end_write(); }
  WriteLease(const WriteLease&) = delete;
  WriteLease& operator=(const WriteLease&) = delete;

 private:
  std::shared_ptr<Storage> storage_;
};

}  // namespace detail
}  // namespace duet

/// What xtensor evaluates into when an expression may alias the view that it is assigned to.
template <class T>
struct xt::temporary_container<duet::detail::WriteElements<T>>
    : xt::temporary_container<typename duet::detail::WriteElements<T>::Buffer> {};

namespace duet {

/// An xt expression on a tensor's memory. It keeps the memory alive.
template <class T>
using XtView = xt::xarray_adaptor<detail::ReadElements<T>, xt::layout_type::dynamic, xt::dynamic_shape<std::size_t>>;
/// The same, for writing.
template <class T>
using XtMutableView =
    xt::xarray_adaptor<detail::WriteElements<T>, xt::layout_type::dynamic, xt::dynamic_shape<std::size_t>>;

namespace detail {

template <class View, class Pointer>
View make_xt_view(Pointer data, const Tensor& tensor, std::shared_ptr<const void> owner) {
  const typename View::shape_type shape(tensor.shape().begin(), tensor.shape().end());
  const typename View::strides_type strides(tensor.strides().begin(), tensor.strides().end());
  typename View::storage_type buffer(data, static_cast<std::size_t>(tensor.numel()), std::move(owner));
  // A view that knows its elements to lie in a row is assigned from in one sweep.
  if (tensor.is_contiguous()) return View(std::move(buffer), shape, xt::layout_type::row_major);
  return View(std::move(buffer), shape, strides);
}

/// The element type in which a tensor holds values of T.
template <class T>
using TensorElement = std::conditional_t<
    std::is_same_v<T, float> || std::is_same_v<T, double>, T,
    std::conditional_t<std::is_same_v<T, bool> || std::is_same_v<T, std::uint8_t>, std::uint8_t, std::int64_t>>;

template <class C>
concept XtContainer = std::derived_from<C, xt::xcontainer<C>>;

template <class C>
Tensor wrap_xt_container(C& container, std::shared_ptr<const void> owner) {
  Shape shape, strides;
  for (auto size : container.shape()) shape.push_back(static_cast<std::int64_t>(size));
  for (auto stride : container.strides()) strides.push_back(static_cast<std::int64_t>(stride));
  return Tensor::wrap(container.data() + container.data_offset(), shape, strides, std::move(owner));
}

}  // namespace detail

/// The elements of a tensor of any strides, for reading, without a copy. T must be the dtype's (DtypeError).
template <class T>
XtView<T> xt_view(const Tensor& tensor) {
  return detail::make_xt_view<XtView<T>>(tensor.data<T>(), tensor, tensor.impl()->storage);
}

/// The elements of a contiguous tensor (ShapeError otherwise), for writing, without a copy. Raises the version now
/// and again when the last copy of the view dies; between, the storage counts as being written. Assign expressions
/// of the tensor's own shape: xtensor takes another shape of as many elements in row-major order, and throws for
/// another count. Throws AutogradError for a tensor that is on the tape while recording, ValueError for memory
/// wrapped as constant.
template <class T>
XtMutableView<T> xt_mutable_view(Tensor& tensor) {
  tensor.span<T>();  // dtype and contiguity; a gap between rows would be overwritten by an assignment that reshapes
  begin_in_place("xt_mutable_view", tensor);
  return detail::make_xt_view<XtMutableView<T>>(raw::data<T>(tensor), tensor,
                                                std::make_shared<detail::WriteLease>(tensor.impl()->storage));
}

/// A new tensor with the values of an xt expression. float and double stay what they are, bool and uint8_t become
/// u8, other integers i64. Throws ShapeError above max_rank.
template <class E>
Tensor from_xt(const xt::xexpression<E>& expression) {
  const E& values = expression.derived_cast();
  using Value = std::decay_t<typename E::value_type>;
  static_assert(std::is_integral_v<Value> || std::is_same_v<Value, float> || std::is_same_v<Value, double>,
                "a tensor holds float, double or integers: xt::cast the expression");
  using T = detail::TensorElement<Value>;
  Shape shape;
  for (auto size : values.shape()) shape.push_back(static_cast<std::int64_t>(size));
  Tensor tensor = Tensor::empty(shape, {.dtype = dtype_of<T>});
  auto target = xt_mutable_view<T>(tensor);
  if constexpr (std::is_same_v<T, Value>)
    xt::noalias(target) = values;
  else
    xt::noalias(target) = xt::cast<T>(values);
  return tensor;
}

/// A tensor on the memory of an xt container that the caller keeps alive and unresized. Element types are a tensor's
/// own: float, double, int64_t, uint8_t. A const container gives a tensor that refuses to be written.
template <detail::XtContainer C>
Tensor wrap_xt(C& container) {
  return detail::wrap_xt_container(container, nullptr);
}
template <detail::XtContainer C>
Tensor wrap_xt(const C& container) {
  return detail::wrap_xt_container(container, nullptr);
}
/// A tensor on the memory of a shared xt container.
template <detail::XtContainer C>
Tensor wrap_xt(const std::shared_ptr<C>& container) {
  return detail::wrap_xt_container(*container, container);
}

/// A tensor on the memory of an xt container that the tensor owns from now on.
template <class C>
  requires(!std::is_reference_v<C> && !std::is_const_v<C> && detail::XtContainer<C>)
Tensor wrap_xt(C&& container) {
  return wrap_xt(std::make_shared<C>(std::move(container)));
}

}  // namespace duet
