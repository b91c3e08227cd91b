// Finds objects in a picture with an export for OpenVINO: predict_openvino EXPORT PICTURE.ppm
#include <openvino/openvino.hpp>

#include "export.hpp"

int main(int count, char** given) try {
    if (count != 3) throw std::runtime_error("usage: predict_openvino EXPORT PICTURE.ppm");
    const std::string folder = given[1];
    const Record record(folder + "/system.json");
    const Picture original = read_ppm(given[2]), taken = record.resized(original);
    Values values = planes(taken);
    Bytes bytes(values.begin(), values.end());

    ov::Core core;
    const auto precision = record.bf16 ? ov::element::bf16 : ov::element::f32;
    ov::CompiledModel model =
        core.compile_model(folder + "/graph.xml", "CPU", ov::hint::inference_precision(precision));
    ov::InferRequest request = model.create_infer_request();
    const ov::Shape shape{1, 3, std::size_t(taken.height), std::size_t(taken.width)};
    request.set_tensor("pictures", record.bytes ? ov::Tensor(ov::element::u8, shape, bytes.data())
                                                : ov::Tensor(ov::element::f32, shape, values.data()));
    request.infer();

    const ov::Tensor boxes = request.get_tensor("boxes"), scores = request.get_tensor("scores"),
                     labels = request.get_tensor("labels");
    print_rows(record, original, taken, scores.get_size(), boxes.data<float>(), scores.data<float>(),
               labels.data<std::int64_t>());
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
