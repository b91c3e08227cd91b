// Finds objects in a picture with an export for ONNX Runtime: predict_onnxruntime EXPORT PICTURE.ppm
#include <onnxruntime_cxx_api.h>

#include <array>
#include <filesystem>

#include "export.hpp"

int main(int count, char** given) try {
    if (count != 3) throw std::runtime_error("usage: predict_onnxruntime EXPORT PICTURE.ppm");
    const std::string folder = given[1];
    const Record record(folder + "/system.json");
    const Picture original = read_ppm(given[2]), taken = record.resized(original);
    Values values = planes(taken);
    Bytes bytes(values.begin(), values.end());

    Ort::Env environment;
    Ort::Session session(environment, std::filesystem::path(folder + "/graph.onnx").c_str(), Ort::SessionOptions());
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const std::array<std::int64_t, 4> shape{1, 3, taken.height, taken.width};
    const auto pictures =
        record.bytes ? Ort::Value::CreateTensor(memory, bytes.data(), bytes.size(), shape.data(), shape.size())
                     : Ort::Value::CreateTensor(memory, values.data(), values.size(), shape.data(), shape.size());
    const std::array<const char*, 1> inputs{"pictures"};
    const std::array<const char*, 3> outputs{"boxes", "scores", "labels"};
    const auto rows = session.Run(Ort::RunOptions(), inputs.data(), &pictures, 1, outputs.data(), outputs.size());

    print_rows(record, original, taken, rows[1].GetTensorTypeAndShapeInfo().GetElementCount(),
               rows[0].GetTensorData<float>(), rows[1].GetTensorData<float>(), rows[2].GetTensorData<std::int64_t>());
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
