// The tutorial's endpoint: a matrix times a matrix of ones.
#include "routes.hpp"
#include "sluice/httplib.hpp"

void add_multiply_route(httplib::Server& server, sluice::service& service) {
  service.add(
      {.name = "gpu_multiply",
       .summary = "A square matrix times a matrix of ones of the same extents",
       .inputs = {{.name = "matrix", .dtypes = {sluice::dtype::f32, sluice::dtype::f64}, .min_rank = 2, .max_rank = 2}},
       .outputs = {{.name = "result"}},
       .run =
           [](std::span<const sluice::tensor> in, const sluice::call_context& c) {
             const sluice::tensor& matrix = in[0];
             if (matrix.extent(0) != matrix.extent(1))
               throw sluice::error(sluice::error_code::invalid_argument,
                                   "[gpu_multiply] matrix is " + matrix.shape().str() +
                                       ": it must be square, for the ones have its extents");
             const auto ones = sluice::tensor::full(matrix.shape(), 1, matrix.dtype());
             return std::vector{sluice::matmul(matrix, ones, c.where)};
           },
       .described = false,
       .estimate =
           [](std::span<const sluice::tensor> in) {
             return in[0].extent(0) == in[0].extent(1) ? sluice::work_of(sluice::matmul_op(), {in[0], in[0]})
                                                       : sluice::work{};
           }});
  sluice::mount_endpoint(server, service, "gpu_multiply", "/gpu_multiply");
}
