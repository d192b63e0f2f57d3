/** Kernels that treat all elements alike. */
import { forEach, type WgslKernels } from "../shader.ts"
import { forEachSpike } from "../spikes.ts"

/** `uniform_bits(i)`: 24 random bits for element i of the key, as in core's `Key` (Threefry). */
const threefry = `
fn uniform_bits(i: u32) -> u32 {
  var keys = array<u32, 3>(word_key(0u), word_key(1u), 0u);
  keys[2] = keys[0] ^ keys[1] ^ 0x1bd11bdau;
  var rotations = array<u32, 8>(13u, 15u, 26u, 6u, 17u, 29u, 16u, 24u);
  var x = vec2<u32>(keys[0], i / 2u + keys[1]);
  for (var step = 0u; step < 5u; step++) {
    for (var turn = step % 2u * 4u; turn < step % 2u * 4u + 4u; turn++) {
      x.x += x.y;
      x.y = (x.y << rotations[turn]) | (x.y >> (32u - rotations[turn]));
      x.y ^= x.x;
    }
    x += vec2<u32>(keys[(step + 1u) % 3u], keys[(step + 2u) % 3u] + step + 1u);
  }
  return select(x.x, x.y, i % 2u == 1u) >> 8u;
}`

export const elementwise = {
  "dropout.mask": (operands, { rate }) => [
    forEachSpike(operands, "mask", `fires = uniform_bits(i) >= ${Math.ceil(rate * 2 ** 24)}u;`, threefry),
  ],
  copy: (operands) => [forEach(operands, operands.words("target"), "set_word_target(i, word_source(i));")],
  zero: (operands) => [forEach(operands, operands.words("target"), "set_word_target(i, 0u);")],
} satisfies Partial<WgslKernels>
