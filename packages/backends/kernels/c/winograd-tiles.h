/*
 * Tiles of 4 × 4 pixels of y, and the patches of 6 × 6 pixels of x that they read, for 3 × 3 windows with stride 1.
 *
 * A tile of sums is Y = Aᵀ·(Σ_c U_c ∘ V_c)·A of its patch d_c and the weights g_c, with V = Bᵀ·d·B and U = G·g·Gᵀ; hence the weights'
 * gradient is ∂g = Gᵀ·(Σ_tiles V ∘ (A·∂Y·Aᵀ))·G. The interpolation points are 0, ±√½, ±√2 and ∞: with the usual ±1 and ±2, the sums
 * would lose one more digit.
 *
 *          1   0  −5/2  0   1  0           1    0    0            1  1   1   1    1   0
 *          0 −√2   −2  √½   1  0         −2/3 −√2/3 −1/3          0 √½ −√½  √2  −√2   0
 *     Bᵀ = 0  √2   −2 −√½   1  0     G = −2/3  √2/3 −1/3     Aᵀ = 0  ½   ½   2    2   0
 *          0 −√½   −½  √2   1  0          1/6  √2/6  1/3          0 √⅛ −√⅛  √8  −√8   1
 *          0  √½   −½ −√2   1  0          1/6 −√2/6  1/3
 *          0   1    0 −5/2  0  1           0    0    1
 *
 * Lavin & Gray, Fast algorithms for convolutional neural networks, 2016.
 */
#pragma once
#include "kernel.h"

enum { SIDE = 4, PATCH = SIDE + 2, POINTS = PATCH * PATCH, TAPS = 9 };
/* Maximum channels of x that are transformed together. */
enum { CHANNELS = 64 };

/* EACH loops are unrolled, to stay in registers; ONE_BY_ONE loops are not: their code would be as large as that of all other sums. */
#define EACH(i, count) _Pragma("GCC unroll 6") for (int i = 0; i < count; i++)
#ifdef __clang__
#define ONE_BY_ONE(i, count) _Pragma("clang loop unroll(disable)") for (int i = 0; i < count; i++)
#else
#define ONE_BY_ONE(i, count) _Pragma("GCC unroll 1") for (int i = 0; i < count; i++)
#endif
#define ROOT_2 1.41421356237f

/* Rounds a distance so that values at that distance do not map to the same cache sets: an odd number of cache lines. */
INLINE size_t spread(size_t numbers) { return numbers + (numbers % 32 ? 0 : 16); }

/* Images adjacent in a frame along one axis, their distance in pixels, and the tiles that cover them. */
typedef struct {
  int32_t images, apart, tiles;
} Axis;

/*
 * Small images whose extents are not multiples of a tile's are placed side by side in a frame, with the zero padding between them, so that
 * fewer tiles extend beyond edges.
 */
typedef struct {
  /* Extents of x and y; the first window of an image begins at (−top, −left) of x. */
  int32_t batch, height, width, out_height, out_width, top, left;
  Axis down, across;
  /* Tiles in a frame, and in all frames. */
  int32_t frame, tiles;
} Tiling;

/* Chooses the number of images in a frame that minimises the number of tiles. */
Tiling NAME(tiling_of)(int32_t batch, int32_t height, int32_t width, int32_t out_height, int32_t out_width, int32_t top, int32_t left);
#define tiling_of NAME(tiling_of)

/* The pixels of y in a tile, counted across all images; −1 for pixels beyond the edges. */
void NAME(tile_pixels)(const Tiling *tiling, int32_t tile, int64_t pixels[SIDE][SIDE]);
#define tile_pixels NAME(tile_pixels)

/*
 * Computes V of tiles first … first + count − 1 and of `channels` channels, between LANES and CHANNELS, from x on, whose pixels are
 * `stride` floats apart. Tiles and points of V are `tile` and `point` floats apart. The last channels may be computed twice.
 */
void NAME(transform_patches)(const Tiling *tiling, const float *x, int32_t stride, int32_t first, int32_t count, int32_t channels, float *v,
                             size_t tile, size_t point);
#define transform_patches NAME(transform_patches)
