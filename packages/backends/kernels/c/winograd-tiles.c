#include "winograd-tiles.h"

static Axis axis_of(int32_t images, int32_t length, int32_t margin, int32_t out_length) {
  return (Axis){images, length + margin, ceiling((images - 1) * (length + margin) + out_length, SIDE)};
}

Tiling tiling_of(int32_t batch, int32_t height, int32_t width, int32_t out_height, int32_t out_width, int32_t top, int32_t left) {
  enum { IMAGES = 4, SMALL = 64 };
  Tiling t = {batch, height, width, out_height, out_width, top, left};
  for (int32_t down = 1; down <= (out_height < SMALL ? IMAGES : 1); down++)
    for (int32_t across = 1; across <= (out_width < SMALL ? IMAGES : 1); across++) {
      const Axis y = axis_of(down, height, top, out_height), x = axis_of(across, width, left, out_width);
      const int32_t frame = y.tiles * x.tiles, tiles = ceiling(batch, down * across) * frame;
      if (t.frame && tiles >= t.tiles) continue;
      t.down = y, t.across = x, t.frame = frame, t.tiles = tiles;
    }
  return t;
}

/* Position of a row or column of a frame: the image in the frame, and the row or column of x or y; −1 if outside. */
typedef struct {
  int32_t image, at;
} Line;

static Line line_of(const Axis *axis, int32_t position, int32_t length) {
  const int32_t image = position < 0 ? 0 : position / axis->apart, at = position - image * axis->apart;
  return (Line){image, at >= 0 && at < length && image < axis->images ? at : -1};
}

/* The first row and column of a tile in its frame, and the frame's first image. */
typedef struct {
  int32_t image, row, column;
} Corner;

static Corner corner_of(const Tiling *t, int32_t tile) {
  const int32_t frame = tile / t->frame, rest = tile % t->frame;
  return (Corner){frame * t->down.images * t->across.images, rest / t->across.tiles * SIDE, rest % t->across.tiles * SIDE};
}

/* The pixel, of images of height × width, at the intersection of two lines; −1 if outside. */
static int64_t pixel_at(const Tiling *t, int32_t first, Line row, Line column, int32_t height, int32_t width) {
  const int32_t n = first + row.image * t->across.images + column.image;
  return row.at < 0 || column.at < 0 || n >= t->batch ? -1 : ((int64_t)n * height + row.at) * width + column.at;
}

void tile_pixels(const Tiling *t, int32_t tile, int64_t pixels[SIDE][SIDE]) {
  const Corner corner = corner_of(t, tile);
  Line columns[SIDE];
  ONE_BY_ONE(j, SIDE) columns[j] = line_of(&t->across, corner.column + j, t->out_width);
  ONE_BY_ONE(i, SIDE) {
    const Line row = line_of(&t->down, corner.row + i, t->out_height);
    ONE_BY_ONE(j, SIDE) pixels[i][j] = pixel_at(t, corner.image, row, columns[j], t->out_height, t->out_width);
  }
}

/* One axis of Bᵀ·d·B. */
INLINE void patch_axis(const vf d[PATCH], vf to[PATCH]) {
  const vf even_half = multiply_add(splat(-2), d[2], d[4]), odd_half = multiply_add(splat(-2), d[1], d[3]);
  const vf even_two = multiply_add(splat(-0.5f), d[2], d[4]), odd_two = multiply_add(splat(-0.5f), d[1], d[3]);
  to[0] = multiply_add(splat(-2.5f), d[2], d[0] + d[4]);
  to[1] = multiply_add(splat(ROOT_2 / 2), odd_half, even_half);
  to[2] = multiply_add(splat(-ROOT_2 / 2), odd_half, even_half);
  to[3] = multiply_add(splat(ROOT_2), odd_two, even_two);
  to[4] = multiply_add(splat(-ROOT_2), odd_two, even_two);
  to[5] = multiply_add(splat(-2.5f), d[3], d[1] + d[5]);
}

/* The padding around an image. */
static const float zeros[CHANNELS];

void transform_patches(const Tiling *t, const float *x, int32_t stride, int32_t first, int32_t count, int32_t channels, float *v, size_t tile,
                       size_t point) {
  for (int32_t i = first; i < first + count; i++, v += tile) {
    const Corner corner = corner_of(t, i);
    const float *pixels[PATCH][PATCH];
    Line columns[PATCH];
    ONE_BY_ONE(b, PATCH) columns[b] = line_of(&t->across, corner.column - t->left + b, t->width);
    ONE_BY_ONE(a, PATCH) {
      const Line row = line_of(&t->down, corner.row - t->top + a, t->height);
      ONE_BY_ONE(b, PATCH) {
        const int64_t pixel = pixel_at(t, corner.image, row, columns[b], t->height, t->width);
        pixels[a][b] = pixel < 0 ? zeros : x + pixel * stride;
      }
    }
    for (int32_t c = 0; c < channels; c += LANES) {
      const int32_t at = smaller(c, channels - LANES);
      vf half[PATCH][PATCH];
      ONE_BY_ONE(a, PATCH) {
        vf row[PATCH];
        EACH(b, PATCH) row[b] = load(pixels[a][b] + at);
        patch_axis(row, half[a]);
      }
      ONE_BY_ONE(b, PATCH) {
        const vf column[PATCH] = {half[0][b], half[1][b], half[2][b], half[3][b], half[4][b], half[5][b]};
        vf to[PATCH];
        patch_axis(column, to);
        EACH(a, PATCH) {
          float *const here = v + (a * PATCH + b) * point + at;
          store(here, to[a]);
          /* Prefetches the next tile's. */
          __builtin_prefetch(here + tile, 1, 3);
        }
      }
    }
  }
}
