// Two ops of one's own, from the values to derivatives of every order.
#pragma once

#include <duet/core/op.hpp>

/// exp(-x² / 2), element by element.
duet::Tensor bell(const duet::Tensor& x);

struct RunningSumOptions {
  bool reverse = false;  ///< from the end to the start
  void fields(duet::FieldVisitor& visitor) { visitor.field("reverse", reverse); }
};
/// y_i = x_0 + … + x_i along the last dimension.
duet::Tensor running_sum(const duet::Tensor& x, const RunningSumOptions& options = {});

const duet::OpPtr& bell_op();
const duet::OpPtr& running_sum_op();
