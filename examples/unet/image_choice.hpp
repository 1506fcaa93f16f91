// Which images a command works on.
#pragma once

#include <cstdint>
#include <string>

#include <duet/nn/data/image_set.hpp>

namespace duet::examples {

/// The folder's images, or generated ones if `folder` is empty.
data::ImageSet open_images(const std::string& folder, std::int64_t generated, int channels = 0);

/// The last `count` in name order; ValueError if there are fewer.
data::ImageSet last_images(const data::ImageSet& images, std::int64_t count);

struct Split {
  data::ImageSet train, val;
};

/// What --val says: "" (about 15 %, at least one of two or more), a count, or a folder.
Split split_images(const data::ImageSet& images, const std::string& val);

/// ValueError if images have labels beyond a model's classes.
void check_classes(const data::ImageSet& images, int classes);

}  // namespace duet::examples
