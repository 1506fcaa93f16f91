// Which images a command works on.
#pragma once

#include <cstdint>
#include <string>

#include <duet/nn/data/image_set.hpp>

namespace duet::examples {

/// The folder's images; if `folder` is empty generated ones, of two classes or, where options.classes asks for them, of
/// four (ValueError for another number).
data::ImageSet open_images(const std::string& folder, std::int64_t generated,
                           const data::ImageSetOptions& options = {});

/// The last `count` in name order; ValueError if there are fewer.
data::ImageSet last_images(const data::ImageSet& images, std::int64_t count);

struct Split {
  data::ImageSet train, val;
};

/// What --val says: "" (about 15 %, at least one of two or more), a count, or a folder, opened with `options`.
Split split_images(const data::ImageSet& images, const std::string& val, data::ImageSetOptions options = {});

}  // namespace duet::examples
