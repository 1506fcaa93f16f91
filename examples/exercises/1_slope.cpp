// Exercise 1. Replace the throw; `scripts/exercise 1` says when it is right.
#include <stdexcept>

#include <duet/duet.hpp>

#include "checks/1_slope.hpp"

/// The slope of f at x by a central difference with step h.
double slope(const Function& /*f*/, double /*x*/, double /*h*/) { throw std::logic_error("not solved yet"); }
