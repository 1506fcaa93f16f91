// Internal: what the U-Net and its weight files both know about its options.
#pragma once

#include <string>

#include <duet/nn/models/unet.hpp>

namespace duet::nn {

/// ValueError for an option out of range.
void check_unet(const UNetOptions& options);

/// The options that are not the plain U-Net's, as a JSON object; empty if it is one.
std::string unet_variant(const UNetOptions& options);

}  // namespace duet::nn
