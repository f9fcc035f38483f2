// The original's name of the header.
#ifndef MIGNIFICIENT_EXECUTOR_FUNCTION_HPP
#define MIGNIFICIENT_EXECUTOR_FUNCTION_HPP

#include <mignificient/function.hpp>

#endif
