// The definitions that fmt's headers leave to libfmt.so, for a libduet.so that has them inside (hidden, as all that is
// not Duet's): one library less to load, and none whose version has to be that of the machine which built Duet.
// cmake/library.cmake decides. It instantiates what Duet uses: numbers and text of char.
#ifdef DUET_FMT_INSIDE
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {

template FMT_API dragonbox::decimal_fp<float> dragonbox::to_decimal(float x) noexcept;
template FMT_API dragonbox::decimal_fp<double> dragonbox::to_decimal(double x) noexcept;
template FMT_API thousands_sep_result<char> thousands_sep_impl(locale_ref locale);
template FMT_API char decimal_point_impl(locale_ref locale);

}  // namespace detail
FMT_END_NAMESPACE
#endif
