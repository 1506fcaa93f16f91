// Exercise 1: what is asked for.
#pragma once

#include <duet/core/callable.hpp>

using Function = duet::FunctionRef<double(double)>;

/// The slope of f at x by a central difference with step h.
double slope(const Function& f, double x, double h);
