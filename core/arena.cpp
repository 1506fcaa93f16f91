// Boundary tags over reserved addresses (Knuth 1968, section 2.5).
#include <duet/core/arena.hpp>

#include <algorithm>
#include <new>

#include <duet/core/platform.hpp>
#include <duet/core/poison.hpp>

namespace duet {
namespace {

constexpr std::int64_t commit_step = std::int64_t{1} << 21;  // a huge page
constexpr std::int64_t least_rest = 4096;                    // a smaller remainder stays with its block
constexpr std::size_t most_places = 512;                     // then those of models long gone are forgotten

std::int64_t round_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

}  // namespace

/// Addresses for four times what the machine has, or as many as the process may have; no memory yet.
bool Arena::reserve() {
  if (base_ != nullptr) return true;
  if (failed_) return false;
  for (std::int64_t size = round_up(4 * physical_memory(), commit_step); size >= 64 * commit_step;
       size = round_up(size / 2, commit_step)) {
    void* address = reserve_addresses(size);
    if (address == nullptr) continue;
    const auto past = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(address) % commit_step);
    base_ = static_cast<char*>(address) + (commit_step - past) % commit_step;
    end_ = static_cast<char*>(address) + size;
    top_ = committed_ = base_;
    return true;
  }
  failed_ = true;
  return false;
}

bool Arena::commit(char* end) {
  if (end <= committed_) return true;
  // An eighth more than needed: addresses cost nothing until they are touched.
  char* const up_to = std::min(end_, base_ + round_up(end - base_ + (end - base_) / 8, commit_step));
  if (!commit_addresses(committed_, up_to - committed_)) return false;
  forbid(committed_, up_to - committed_);
  committed_ = up_to;
  return true;
}

BlockHeader* Arena::after(BlockHeader* block) const {
  return block == last_ ? nullptr : reinterpret_cast<BlockHeader*>(static_cast<char*>(block->memory()) + block->bytes);
}

void Arena::link(BlockHeader* block) {
  block->free = true;
  block->previous = nullptr;
  block->next = free_;
  if (free_ != nullptr) free_->previous = block;
  free_ = block;
  if (block->backed) cached_ += block->bytes;
}

void Arena::unlink(BlockHeader* block) {
  (block->previous != nullptr ? block->previous->next : free_) = block->next;
  if (block->next != nullptr) block->next->previous = block->previous;
  block->free = false;
  if (block->backed) cached_ -= block->bytes;
}

BlockHeader* Arena::find(std::int64_t bytes, bool backed_only) const {
  BlockHeader* best = nullptr;
  for (BlockHeader* block = free_; block != nullptr; block = block->next) {
    if (block->bytes < bytes || (backed_only && !block->backed)) continue;
    if (best == nullptr || block->bytes < best->bytes || (block->bytes == best->bytes && block < best)) best = block;
  }
  return best;
}

void Arena::keep_place(const BlockHeader* block) noexcept try {
  const Place place{block->bytes, block->op, reinterpret_cast<char*>(const_cast<BlockHeader*>(block))};
  for (const Place& one : places_)
    if (one.at == place.at && one.bytes == place.bytes && one.op == place.op) return;
  if (places_.size() == most_places) places_.clear();
  places_.push_back(place);
} catch (const std::bad_alloc&) {  // it is only a hint
}

BlockHeader* Arena::at_kept_place(std::int64_t bytes, const char* op) {
  for (const Place& place : places_) {
    if (place.bytes != bytes || place.op != op) continue;
    for (BlockHeader* block = free_; block != nullptr; block = block->next) {
      char* const start = reinterpret_cast<char*>(block);
      if (!block->backed || place.at < start || place.at - start + bytes > block->bytes) continue;
      if (place.at == start) return block;
      if (place.at - start >= least_rest + static_cast<std::int64_t>(sizeof(BlockHeader)))
        return cut_in_front(block, place.at);
    }
  }
  return nullptr;
}

/// Makes two free blocks of one that is backed, and returns the second, which begins at `at`.
BlockHeader* Arena::cut_in_front(BlockHeader* block, char* at) {
  BlockHeader* const behind = after(block);
  const std::int64_t front = at - reinterpret_cast<char*>(block);
  auto* cut = new (at) BlockHeader{.size_class = BlockHeader::in_arena, .bytes = block->bytes - front, .before = block};
  if (behind != nullptr)
    behind->before = cut;
  else
    last_ = cut;
  unlink(block);
  block->bytes = front - static_cast<std::int64_t>(sizeof(BlockHeader));
  link(block);
  link(cut);
  return cut;
}

void Arena::take(BlockHeader* block, std::int64_t bytes) {
  unlink(block);
  const std::int64_t rest = block->bytes - bytes - static_cast<std::int64_t>(sizeof(BlockHeader));
  if (rest >= least_rest) {
    BlockHeader* const behind = after(block);
    auto* cut = new (static_cast<char*>(block->memory()) + bytes)
        BlockHeader{.size_class = BlockHeader::in_arena, .backed = block->backed, .bytes = rest, .before = block};
    if (behind != nullptr)
      behind->before = cut;
    else
      last_ = cut;
    block->bytes = bytes;
    link(cut);
  }
  block->backed = true;
}

BlockHeader* Arena::grow(std::int64_t bytes) {
  if (!reserve()) return nullptr;
  const bool extend = last_ != nullptr && last_->free;
  char* const start = extend ? reinterpret_cast<char*>(last_) : top_;
  const std::int64_t needed = bytes + static_cast<std::int64_t>(sizeof(BlockHeader));
  if (needed > end_ - start || !commit(start + needed)) return nullptr;
  if (extend) {
    unlink(last_);
    last_->bytes = bytes;
    last_->backed = true;
  } else {
    last_ = new (start) BlockHeader{.size_class = BlockHeader::in_arena, .bytes = bytes, .before = last_};
  }
  top_ = start + needed;
  return last_;
}

void Arena::give_back(BlockHeader* block) noexcept {
  // Not with what the system has taken back: nobody would know how much of the whole is there.
  if (BlockHeader* const behind = after(block); behind != nullptr && behind->free && behind->backed) {
    unlink(behind);
    if (behind == last_) last_ = block;
    block->bytes += behind->bytes + static_cast<std::int64_t>(sizeof(BlockHeader));
  }
  if (BlockHeader* const before = block->before; before != nullptr && before->free && before->backed) {
    unlink(before);
    if (block == last_) last_ = before;
    before->bytes += block->bytes + static_cast<std::int64_t>(sizeof(BlockHeader));
    block = before;
  }
  if (BlockHeader* const behind = after(block); behind != nullptr) behind->before = block;
  link(block);
}

void Arena::join() {
  BlockHeader* block = last_ == nullptr ? nullptr : reinterpret_cast<BlockHeader*>(base_);
  while (block != nullptr) {
    BlockHeader* const behind = after(block);
    if (behind == nullptr || !block->free || !behind->free) {
      block = behind;
      continue;
    }
    for (BlockHeader* part : {block, behind}) {
      unlink(part);
      if (part->backed) release_pages(part->memory(), part->bytes);
    }
    if (behind == last_) last_ = block;
    block->bytes += behind->bytes + static_cast<std::int64_t>(sizeof(BlockHeader));
    block->backed = false;
    if (BlockHeader* const next = after(block); next != nullptr) next->before = block;
    link(block);
  }
}

void Arena::release() {
  for (BlockHeader* block = free_; block != nullptr; block = block->next) {
    if (!block->backed) continue;
    release_pages(block->memory(), block->bytes);
    block->backed = false;
    cached_ -= block->bytes;
  }
}

}  // namespace duet
