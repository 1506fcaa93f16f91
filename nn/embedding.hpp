// A table of vectors, looked up by number.
#pragma once

#include <duet/nn/module.hpp>
#include <duet/ops/index.hpp>

namespace duet::nn {

/// Rows of weight (num_embeddings, embedding_dim) for indices (…) i64: (…, embedding_dim). Rows begin normal, that of
/// padding_idx as zeros, which it stays. ValueError for sizes below 1 or a padding_idx out of range.
class Embedding : public Module {
 public:
  using Options = EmbeddingOptions;
  Embedding(std::int64_t num_embeddings, std::int64_t embedding_dim, const Options& given = {})
      : Embedding(nullptr, "", num_embeddings, embedding_dim, given) {}
  Embedding(Module* parent, std::string name, std::int64_t num_embeddings, std::int64_t embedding_dim,
            const Options& given = {});
  Tensor forward(const Tensor& indices) override;
  std::string describe() const override;

  Options options;
  Parameter weight;
};

}  // namespace duet::nn
