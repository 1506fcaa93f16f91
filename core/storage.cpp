// Storage: owned from the caching allocator, or borrowed with an owner.
#include <duet/core/storage.hpp>

#include <duet/core/allocator.hpp>

namespace duet {

Storage::Storage(void* data, std::int64_t bytes, bool own, bool writable, std::shared_ptr<const void> owner)
    : data_(data), bytes_(bytes), own_(own), writable_(writable), owner_(std::move(owner)) {
  if (!own) exposed_ = true;
}

Storage::~Storage() {
  if (own_) deallocate(data_);
}

void Storage::keep_place() const noexcept {
  if (own_ && data_ != nullptr) duet::keep_place(data_);
}

std::shared_ptr<Storage> Storage::make(std::int64_t bytes) {
  void* block = allocate(bytes);
  try {
    return std::make_shared<Storage>(block, bytes, true, true, nullptr);
  } catch (...) {
    deallocate(block);
    throw;
  }
}

std::shared_ptr<Storage> Storage::wrap(void* data, std::int64_t bytes, std::shared_ptr<const void> owner, bool writable) {
  return std::make_shared<Storage>(data, bytes, false, writable, std::move(owner));
}

}  // namespace duet
