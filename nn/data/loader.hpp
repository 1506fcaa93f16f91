// DataLoader: batches of a data set, made ahead by background threads. The batches and their order depend on the seed
// and the epoch alone, never on the number of workers.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include <duet/nn/data/dataset.hpp>
#include <duet/nn/data/sampler.hpp>

namespace duet::data {

struct LoaderOptions {
  std::int64_t batch_size = 8;
  bool shuffle = true;        ///< a new order every epoch
  bool drop_last = false;     ///< leave out a last batch that is not full
  std::uint64_t seed = 0;     ///< of the order and of the samples' random numbers
  int workers = 1;            ///< background threads; 0: batches are made where they are asked for
  int prefetch = 4;           ///< how many batches may wait
  int share = 0, shares = 1;  ///< of processes that share each batch: this one's number, and how many (see below)
  std::shared_ptr<const Sampler> sampler = {};  ///< chooses samples and their order, in the place of `shuffle`
};

/// Iterates over batches: a Sample whose tensors have a leading batch dimension. Each loop over it is one epoch, also
/// after a loop that was left early; the workers are at the next epoch's batches while this one's last are consumed.
/// For one consuming thread, in the process that began it: a forked child makes a loader of its own (ValueError).
///
/// Where several processes share each batch of `batch_size`, a loader makes the samples of its own share alone: of the
/// samples that one process would get, random numbers included, part `share` of `shares` equal parts.
class DataLoader {
 public:
  /// ValueError for an empty data set, an option outside its range, or batches that `shares` does not divide.
  explicit DataLoader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options = {});
  template <class D>
  requires std::is_base_of_v<Dataset, std::remove_cvref_t<D>>
  explicit DataLoader(D&& dataset, const LoaderOptions& options = {})
      : DataLoader(std::make_shared<const std::remove_cvref_t<D>>(std::forward<D>(dataset)), options) {}
  ~DataLoader();
  DataLoader(DataLoader&&) noexcept;
  DataLoader& operator=(DataLoader&&) noexcept;

  /// Batches an epoch.
  std::int64_t batches() const;
  /// The epoch of the next batch, and its number in it: what `seek` takes to go on from here.
  std::int64_t epoch() const;
  std::int64_t batch() const;  ///< see epoch()
  /// Makes the next loop start there. ValueError for a place that does not exist.
  void seek(std::int64_t epoch, std::int64_t batch);

  class Iterator {
   public:
    using value_type = Sample;
    using difference_type = std::ptrdiff_t;
    Sample& operator*() { return sample_; }
    Sample* operator->() { return &sample_; }
    Iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(std::nullptr_t) const { return loader_ == nullptr; }

   private:
    friend class DataLoader;
    explicit Iterator(DataLoader* loader) : loader_(loader) {}
    DataLoader* loader_;
    Sample sample_;
  };

  /// Starts an epoch. What a sample's get() throws is rethrown here or in ++, when its batch is due; so are ShapeError
  /// and DtypeError for samples that do not stack.
  Iterator begin();
  std::nullptr_t end() const { return nullptr; }

 private:
  struct State;
  std::shared_ptr<State> state_;  // of this one alone; a unique_ptr costs every user's compiler three times as much
};

}  // namespace duet::data
