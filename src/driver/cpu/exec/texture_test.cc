#include <cmath>

#include "driver/cpu/exec/fixture.h"

namespace mignificient::cpu {
namespace {

using testing::ElementsAre;

template <typename T>
Texture Of(const std::vector<T>& texels, TexelFormat format, uint32_t width, uint32_t height = 1, uint32_t depth = 1) {
  Texture texture;
  texture.format = format;
  const uint64_t row = uint64_t{width} * sizeof(T);
  texture.levels = {{AddressOf(texels), width, height, depth, row, row * height}};
  texture.begin = AddressOf(texels), texture.end = texture.begin + texels.size() * sizeof(T);
  return texture;
}

float At(const Texture& texture, float x) {
  return std::bit_cast<float>(Sample(texture, {.dimensions = 1, .at = {x, 0, 0}})[0]);
}
float At(const Texture& texture, float x, float y) {
  return std::bit_cast<float>(Sample(texture, {.dimensions = 2, .at = {x, y, 0}})[0]);
}

const std::vector<float> kRamp = {10, 20, 40, 80};

TEST(TextureTest, NearestTakesTheTexelAroundTheCoordinate) {
  const Texture texture = Of(kRamp, TexelFormat::kFloat, 4);
  EXPECT_EQ(At(texture, 0), 10);
  EXPECT_EQ(At(texture, 0.999f), 10);
  EXPECT_EQ(At(texture, 1), 20);
  EXPECT_EQ(At(texture, 3.5f), 80);
  EXPECT_EQ(At(texture, 4), 80);  // clamped
  EXPECT_EQ(At(texture, -7), 10);
  EXPECT_EQ(At(texture, 1e30f), 80);
  EXPECT_EQ(At(texture, std::nanf("")), 10);
}

TEST(TextureTest, LinearWeighsTexelsByTheirCentres) {
  Texture texture = Of(kRamp, TexelFormat::kFloat, 4);
  texture.linear = true;
  EXPECT_EQ(At(texture, 0.5f), 10);
  EXPECT_EQ(At(texture, 1), 15);
  EXPECT_EQ(At(texture, 2.75f), 50);
  EXPECT_EQ(At(texture, 0), 10);
  EXPECT_EQ(At(texture, 9), 80);
}

TEST(TextureTest, WeightsHaveEightBitsOfFraction) {
  const std::vector<float> step = {0, 256};
  Texture texture = Of(step, TexelFormat::kFloat, 2);
  texture.linear = true;
  EXPECT_EQ(At(texture, 0.5f + 3.0f / 256), 3);
  EXPECT_EQ(At(texture, 0.5f + 3.25f / 256), 3);
  EXPECT_EQ(At(texture, 0.5f + 3.5f / 256), 4);
  EXPECT_EQ(At(texture, 0.5f + 255.75f / 256), 256);  // 1.0 is a weight
}

TEST(TextureTest, TwoDimensionsAreFilteredTogether) {
  const std::vector<float> plane = {0, 1, 2, 3};
  Texture texture = Of(plane, TexelFormat::kFloat, 2, 2);
  texture.linear = true;
  EXPECT_EQ(At(texture, 1, 1), 1.5f);
  EXPECT_EQ(At(texture, 0.5f, 1), 1);
  EXPECT_EQ(At(texture, 1.5f, 1.25f), 2.5f);
}

TEST(TextureTest, ModesSayWhatLiesOutside) {
  Texture texture = Of(kRamp, TexelFormat::kFloat, 4);
  texture.normalized = true;
  const auto row = [&](AddressMode mode) {
    texture.address_mode[0] = mode;
    std::vector<float> values;
    for (const float x : {-0.375f, -0.125f, 0.125f, 0.875f, 1.125f, 1.375f}) values.push_back(At(texture, x));
    return values;
  };
  EXPECT_THAT(row(AddressMode::kClamp), ElementsAre(10, 10, 10, 80, 80, 80));
  EXPECT_THAT(row(AddressMode::kWrap), ElementsAre(40, 80, 10, 80, 10, 20));
  EXPECT_THAT(row(AddressMode::kMirror), ElementsAre(20, 10, 10, 80, 80, 40));
  texture.border = {5, 0, 0, 0};
  EXPECT_THAT(row(AddressMode::kBorder), ElementsAre(5, 5, 10, 80, 5, 5));
  texture.linear = true;
  texture.address_mode[0] = AddressMode::kWrap;
  EXPECT_EQ(At(texture, 0), 45);  // between the last and the first
  texture.normalized = false;     // wrapping needs normalised coordinates: CUDA clamps
  EXPECT_EQ(At(texture, -3), 10);
}

TEST(TextureTest, FormatsBecomeFractionsOrStayIntegers) {
  const std::vector<uint8_t> bytes = {0, 51, 255, 128};
  Texture texture = Of(bytes, TexelFormat::kUint8, 4);
  EXPECT_EQ(At(texture, 1.5f), 51.0f / 255);
  EXPECT_EQ(At(texture, 2.5f), 1);
  texture.integers = true;
  EXPECT_EQ(Sample(texture, {.at = {3.5f, 0, 0}})[0], 128u);
  texture.format = TexelFormat::kSint8;
  EXPECT_EQ(Sample(texture, {.at = {3.5f, 0, 0}})[0], static_cast<uint32_t>(-128));
  texture.integers = false;
  EXPECT_EQ(At(texture, 3.5f), -1);
  EXPECT_EQ(At(texture, 1.5f), 51.0f / 127);
  const std::vector<uint16_t> halves = {0x3c00, 0xc000};  // 1, -2
  EXPECT_EQ(At(Of(halves, TexelFormat::kHalf, 2), 1.5f), -2);
  const std::vector<int16_t> words = {-32767, 16384};
  EXPECT_EQ(At(Of(words, TexelFormat::kSint16, 2), 0.5f), -1);
  EXPECT_EQ(At(Of(words, TexelFormat::kSint16, 2), 1.5f), 16384.0f / 32767);
  Texture pairs = Of(bytes, TexelFormat::kUint8, 2);
  pairs.channels = 2;
  pairs.integers = true;
  EXPECT_THAT(Sample(pairs, {.at = {1.5f, 0, 0}}), ElementsAre(255, 128, 0, 1));
}

TEST(TextureTest, LevelsAreTakenOrBlended) {
  const std::vector<float> levels = {10, 20, 30};
  Texture texture = Of(levels, TexelFormat::kFloat, 1);
  for (int i = 1; i < 3; ++i) {
    texture.levels.push_back(texture.levels[0]);
    texture.levels.back().address += static_cast<uint64_t>(4 * i);
  }
  texture.most_level = 2;
  const auto at = [&](float level) {
    return std::bit_cast<float>(Sample(texture, {.at = {0.5f, 0, 0}, .level = level})[0]);
  };
  EXPECT_EQ(at(0), 10);
  EXPECT_EQ(at(1.4f), 20);
  EXPECT_EQ(at(9), 30);
  texture.linear_levels = true;
  EXPECT_EQ(at(0.5f), 15);
  EXPECT_EQ(at(1.75f), 27.5f);
  texture.most_level = 1;
  EXPECT_EQ(at(9), 20);
}

TEST(TextureTest, FacesOfACubeAreLayers) {
  const auto face = [](float x, float y, float z) { return *OnCube(x, y, z, 2).layer; };
  EXPECT_THAT(
      (std::vector{face(1, 0, 0), face(-1, 0, 0), face(0, 1, 0), face(0, -1, 0), face(0, 0, 1), face(0, 0, -1)}),
      ElementsAre(12, 13, 14, 15, 16, 17));
  EXPECT_THAT(OnCube(2, 0, 1, 0).at, ElementsAre(0.25f, 0.5f, 0));
}

constexpr const char* kInstructions = R"(
.visible .entry fetch(.param .u64 out, .param .u64 texture) {
  .reg .b64 %rd<4>; .reg .b32 %r<8>; .reg .f32 %f<8>;
  ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [texture]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 16; add.u64 %rd1, %rd1, %rd3;
  tex.1d.v4.f32.s32 {%f1, %f2, %f3, %f4}, [%rd2, {%r1}];
  st.global.v4.f32 [%rd1], {%f1, %f2, %f3, %f4}; ret;
}
.visible .entry plane(.param .u64 out, .param .u64 texture) {
  .reg .b64 %rd<4>; .reg .b32 %r<8>; .reg .f32 %f<8>;
  ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [texture]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 16; add.u64 %rd1, %rd1, %rd3;
  cvt.rn.f32.u32 %f5, %r1; mul.f32 %f5, %f5, 0f3F000000; mov.f32 %f6, 0f3F800000;
  tex.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%rd2, {%f5, %f6}];
  st.global.v4.f32 [%rd1], {%f1, %f2, %f3, %f4}; ret;
}
.visible .entry gather(.param .u64 out, .param .u64 texture) {
  .reg .b64 %rd<4>; .reg .f32 %f<8>;
  ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [texture]; mov.f32 %f5, 0f3F800000;
  tld4.r.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [%rd2, {%f5, %f5}];
  st.global.v4.f32 [%rd1], {%f1, %f2, %f3, %f4}; ret;
}
.visible .entry layer(.param .u64 out, .param .u64 texture) {
  .reg .b64 %rd<4>; .reg .b32 %r<8>; .reg .f32 %f<2>;
  ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [texture]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd3, %r1, 4; add.u64 %rd1, %rd1, %rd3;
  mov.f32 %f1, 0f3F000000;
  tex.a2d.v4.s32.f32 {%r2, %r3, %r4, %r5}, [%rd2, {%r1, %f1, %f1, %f1}];
  st.global.u32 [%rd1], %r2; ret;
}
// Copies 4 numbers of a row, one further right, through the surface.
.visible .entry shift(.param .u64 surface) {
  .reg .b64 %rd<3>; .reg .b32 %r<8>;
  ld.param.u64 %rd1, [surface]; mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; add.s32 %r3, %r2, 4; mov.u32 %r4, 1;
  suld.b.2d.b32.zero {%r5}, [%rd1, {%r3, %r4}];
  bar.sync 0;
  sust.b.2d.b32.trap [%rd1, {%r2, %r4}], {%r5};
  ret;
}
.visible .entry outside(.param .u64 surface) {
  .reg .b64 %rd<3>; .reg .b32 %r<8>;
  ld.param.u64 %rd1, [surface]; mov.u32 %r1, 16; mov.u32 %r2, 0;
  sust.b.2d.b32.trap [%rd1, {%r1, %r2}], {%r2};
  ret;
}
)";

class TextureInstructionTest : public testing::Test {
 protected:
  TextureInstructionTest() : module(kInstructions) { module.textures = &table; }

  template <typename T>
  std::vector<T> Run(const char* kernel, uint32_t threads, size_t count, std::vector<MemoryMap::Extent> extents) {
    std::vector<T> out(count);
    extents.push_back(ExtentOf(out));
    const auto ran =
        module.Run(kernel, {1}, {threads}, Params().Add(AddressOf(out)).Add(uint64_t{7}), std::move(extents));
    EXPECT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
    return out;
  }

  TextureTable table;
  Module module;
};

TEST_F(TextureInstructionTest, FetchReadsByIndex) {
  Texture texture = Of(kRamp, TexelFormat::kFloat, 4);
  texture.address_mode[0] = AddressMode::kBorder;
  table.Add(7, std::make_shared<Texture>(texture));
  const auto out = Run<float>("fetch", 5, 20, {ExtentOf(kRamp)});
  EXPECT_THAT(std::vector(out.begin(), out.begin() + 4), ElementsAre(10, 0, 0, 1));
  EXPECT_EQ(out[12], 80);
  EXPECT_EQ(out[16], 0);
}

TEST_F(TextureInstructionTest, PlanesAreFilteredAndGathered) {
  const std::vector<float> plane = {0, 1, 2, 3};
  Texture texture = Of(plane, TexelFormat::kFloat, 2, 2);
  texture.linear = true;
  table.Add(7, std::make_shared<Texture>(texture));
  const auto out = Run<float>("plane", 4, 16, {ExtentOf(plane)});
  EXPECT_THAT((std::vector{out[0], out[4], out[8], out[12]}), ElementsAre(1, 1, 1.5f, 2));
  EXPECT_THAT(Run<float>("gather", 1, 4, {ExtentOf(plane)}), ElementsAre(2, 3, 1, 0));
}

TEST_F(TextureInstructionTest, LayersAreClamped) {
  const std::vector<int32_t> layers = {-5, 6, 7};
  table.Add(7, std::make_shared<Texture>(Of(layers, TexelFormat::kSint32, 1, 1, 3)));
  EXPECT_THAT(Run<int32_t>("layer", 4, 4, {ExtentOf(layers)}), ElementsAre(-5, 6, 7, 7));
}

TEST_F(TextureInstructionTest, SurfacesAreReadAndWritten) {
  std::vector<uint32_t> rows = {1, 2, 3, 4, 5, 6, 7, 8};
  table.Add(7, std::make_shared<Texture>(Of(rows, TexelFormat::kUint32, 4, 2)));
  auto ran = module.Run("shift", {1}, {4}, Params().Add(uint64_t{7}), {ExtentOf(rows)});
  ASSERT_EQ(ran.result.status, LaunchStatus::kOk) << ran.result.message;
  EXPECT_THAT(rows, ElementsAre(1, 2, 3, 4, 6, 7, 8, 0));
  ran = module.Run("outside", {1}, {1}, Params().Add(uint64_t{7}), {ExtentOf(rows)});
  EXPECT_EQ(ran.result.status, LaunchStatus::kIllegalAddress);
}

TEST_F(TextureInstructionTest, HandlesOfNothingAndMemoryThatIsGoneAreFaults) {
  std::vector<float> out(4);
  const auto params = Params().Add(AddressOf(out)).Add(uint64_t{7});
  EXPECT_EQ(module.Run("fetch", {1}, {1}, params, {ExtentOf(out)}).result.status, LaunchStatus::kIllegalAddress);
  table.Add(7, std::make_shared<Texture>(Of(kRamp, TexelFormat::kFloat, 4)));
  EXPECT_EQ(module.Run("fetch", {1}, {1}, params, {ExtentOf(out)}).result.status, LaunchStatus::kIllegalAddress);
  EXPECT_EQ(module.Run("fetch", {1}, {1}, params, {ExtentOf(out), ExtentOf(kRamp)}).result.status, LaunchStatus::kOk);
}

}  // namespace
}  // namespace mignificient::cpu
