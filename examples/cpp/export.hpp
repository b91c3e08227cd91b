// What both programs share: pictures, the facts of an export that they need, and rows as lines of text.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using Bytes = std::vector<std::uint8_t>;
using Values = std::vector<float>;

// RGB, row by row, of values in 0..255.
struct Picture {
    int height, width;
    Values pixels;
};

// A binary PPM of 8 bits; any library that decodes pictures takes the place of this function.
inline Picture read_ppm(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    std::string kind;
    int width = 0, height = 0, most = 0;
    in >> kind >> width >> height >> most;
    in.get();
    if (!in || kind != "P6" || most != 255) throw std::runtime_error(file + ": no binary PPM of 8 bits");
    Bytes pixels(std::size_t(3) * height * width);
    if (!in.read(reinterpret_cast<char*>(pixels.data()), std::streamsize(pixels.size())))
        throw std::runtime_error(file + ": it ends too early");
    return {height, width, Values(pixels.begin(), pixels.end())};
}

// Values `(before, length, after)` become `(before, to, after)`: bilinear, and where it is smooth antialiased, as
// Pillow's BILINEAR; where the graph takes bytes, they are whole.
inline Values resampled(const Values& values, int before, int length, int after, int to, bool smooth, bool whole) {
    if (to == length) return values;
    Values result(std::size_t(before) * to * after);
    const double ratio = double(length) / to, reach = smooth ? std::max(ratio, 1.0) : 1.0;
    for (int place = 0; place < to; ++place) {
        const double centre = (place + 0.5) * ratio;
        const int first = std::max(int(centre - reach + 0.5), 0), stop = std::min(int(centre + reach + 0.5), length);
        std::vector<double> weights;
        double sum = 0;
        for (int from = first; from < stop; ++from) {
            weights.push_back(std::max(0.0, 1 - std::abs(from + 0.5 - centre) / reach));
            sum += weights.back();
        }
        for (int row = 0; row < before; ++row)
            for (int channel = 0; channel < after; ++channel) {
                double value = 0;
                for (int from = first; from < stop; ++from)
                    value += weights[from - first] * values[(std::size_t(row) * length + from) * after + channel];
                result[(std::size_t(row) * to + place) * after + channel] =
                    float(whole ? std::floor(value / sum + 0.5) : value / sum);
            }
    }
    return result;
}

// What system.json says of resizing, precision and names. A JSON library reads it better; this does without one.
struct Record {
    int short_side = 0, long_side = 0, height = 0, width = 0;  // 0 where there is none
    bool bf16 = false, smooth = true, bytes = true;
    std::vector<std::string> names;

    explicit Record(const std::string& file) {
        std::ifstream in(file);
        if (!in) throw std::runtime_error(file + ": it cannot be read");
        std::ostringstream all;
        all << in.rdbuf();
        const std::string text = all.str();
        short_side = std::atoi(after(text, "short_side"));
        long_side = std::atoi(after(text, "long_side"));
        std::sscanf(after(text, "size"), " [ %d , %d ]", &height, &width);
        smooth = std::string(after(text, "resizing")).rfind("\"smooth\"", 0) == 0;
        bytes = text.find("\"pictures\":") == std::string::npos  // earlier exports do not say it
                || std::string(after(text, "pictures")).rfind("\"uint8\"", 0) == 0;
        bf16 = std::string(after(text, "precision")).rfind("\"fp32\"", 0) != 0;  // int8's other layers, too
        const char* at = after(text, "class_names");
        while ((at = std::strpbrk(at, "\"]")) && *at == '"') {
            const char* end = ++at;
            while (*end != '"') end += *end == '\\' ? 2 : 1;
            names.emplace_back(at, end);
            at = end + 1;
        }
    }

    // The picture as the graph takes it: `preprocess` of system.json.
    Picture resized(const Picture& picture) const {
        int to_height = height, to_width = width;
        if (!height) {
            double scale = short_side ? double(short_side) / std::min(picture.height, picture.width) : 1.0;
            if (long_side) scale = std::min(scale, double(long_side) / std::max(picture.height, picture.width));
            to_height = std::max(1, int(smooth ? std::nearbyint(picture.height * scale) : picture.height * scale));
            to_width = std::max(1, int(smooth ? std::nearbyint(picture.width * scale) : picture.width * scale));
        }
        const Values wide = resampled(picture.pixels, picture.height, picture.width, 3, to_width, smooth, bytes);
        return {to_height, to_width, resampled(wide, 1, picture.height, 3 * to_width, to_height, smooth, bytes)};
    }

   private:
    static const char* after(const std::string& text, const std::string& key) {
        const std::size_t at = text.find('"' + key + "\":");
        if (at == std::string::npos) throw std::runtime_error("system.json: it has no " + key);
        const char* value = text.c_str() + at + key.size() + 3;
        return value + std::strspn(value, " \n");
    }
};

// Red, green and blue apart, as the graph takes pictures: (1, 3, height, width).
inline Values planes(const Picture& picture) {
    const std::size_t area = picture.pixels.size() / 3;
    Values result(picture.pixels.size());
    for (std::size_t place = 0; place < area; ++place)
        for (std::size_t colour = 0; colour < 3; ++colour)
            result[colour * area + place] = picture.pixels[3 * place + colour];
    return result;
}

// One line an object: score, x1 y1 x2 y2 in pixels of the original picture, name. Rows that are nothing score -1.
inline void print_rows(const Record& record, const Picture& original, const Picture& taken, std::size_t count,
                       const float* boxes, const float* scores, const std::int64_t* labels) {
    const float across = float(original.width) / taken.width, down = float(original.height) / taken.height;
    for (std::size_t row = 0; row < count && scores[row] >= 0; ++row, boxes += 4)
        std::printf("%.4f %.2f %.2f %.2f %.2f %s\n", scores[row], boxes[0] * across, boxes[1] * down,
                    boxes[2] * across, boxes[3] * down, record.names.at(labels[row]).c_str());
}
