// Embedding.
#include <duet/nn/embedding.hpp>

#include <duet/nn/layer.hpp>
#include <duet/ops/inplace.hpp>
#include <duet/ops/shape.hpp>

namespace duet::nn {

Embedding::Embedding(Module* parent, std::string name, std::int64_t num_embeddings, std::int64_t embedding_dim,
                     const Options& given)
    : Module(parent, std::move(name)), options(given), weight(this, "weight") {
  require_at_least("Embedding", "num_embeddings", num_embeddings, 1);
  require_at_least("Embedding", "embedding_dim", embedding_dim, 1);
  const auto padding = options.padding_idx;
  if (padding && (*padding < -num_embeddings || *padding >= num_embeddings))
    fail<ValueError>("Embedding", "padding_idx {} is out of range [{}, {}]", *padding, -num_embeddings,
                     num_embeddings - 1);
  Tensor table = Tensor::empty({num_embeddings, embedding_dim});
  init::normal_(table);
  if (padding) {
    Tensor row = select(table, 0, *padding);
    zero_(row);
  }
  weight = table;
}

Tensor Embedding::forward(const Tensor& indices) { return embedding(indices, weight, options); }

std::string Embedding::describe() const {
  return fmt::format("{}, {}{}", weight.size(0), weight.size(1),
                     options.padding_idx ? fmt::format(", padding_idx={}", *options.padding_idx) : "");
}

}  // namespace duet::nn
