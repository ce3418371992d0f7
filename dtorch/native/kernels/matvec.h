// The product of a matrix and a vector: all of the work is to read the matrix.
#pragma once

#include <cstddef>

#include "kernels/dispatch.h"

DTORCH_KERNELS(
    // The next two are of a matrix (rows, columns) whose rows lie `step` elements apart.

    // out[i] = sum over j of matrix[i, j] * vector[j].
    template <class T> void matrix_times_vector(const T* matrix, std::size_t step, std::size_t rows,
                                                std::size_t columns, const T* vector, T* out);

    // out[j] = sum over i of vector[i] * matrix[i, j].
    template <class T> void vector_times_matrix(const T* vector, const T* matrix, std::size_t step,
                                                std::size_t rows, std::size_t columns, T* out);)
