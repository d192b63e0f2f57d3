/** Kernels that treat every element alike. */

import { columnSums } from "../columns.ts"
import { float, forEach, type Operands, type WgslKernel, type WgslKernels } from "../shader.ts"
import { forEachSpike, forEachStored } from "../spikes.ts"

/** A kernel of one thread for each element of operand `name`. */
const over =
  <A>(name: string, body: (operands: Operands, attributes: A) => string): WgslKernel<A> =>
  (operands, attributes) => [forEach(operands, operands.size(name), body(operands, attributes))]

/** `uniform(i)`: the i-th number of the random key, 24 bits: see core's `Key`. */
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
  "add.forward": (operands) => [forEachStored(operands, "y", "store_y(i, load_a(i) + load_b(i));")],
  "add.backward": over("inputGradient", () => "add_inputGradient(i, load_outputGradient(i));"),
  "scale.forward": over("y", (_, { factor }) => `store_y(i, ${float(factor)} * load_x(i));`),
  "scale.backward": over(
    "inputGradient",
    (_, { factor }) => `add_inputGradient(i, ${float(factor)} * load_outputGradient(i));`,
  ),
  "gain.forward": over("y", () => "store_y(i, load_gain(0u) * load_x(i));"),
  "gain.backward": (operands) => [
    ...columnSums(
      operands,
      { rows: operands.size("x"), columns: 1 },
      {
        names: ["sum"],
        each: `sum += load_outputGradient(i) * load_x(i);${
          operands.has("inputGradient") ? " add_inputGradient(i, load_gain(0u) * load_outputGradient(i));" : ""
        }`,
        finish: "add_gainGradient(0u, sum);",
      },
    ),
  ],
  "dropout.mask": (operands, { rate }) => [
    forEachSpike(operands, "mask", `fires = uniform_bits(i) >= ${Math.ceil(rate * 2 ** 24)}u;`, threefry),
  ],
  "dropout.forward": over("y", (_, { rate }) => `store_y(i, load_x(i) * load_mask(i) / ${float(1 - rate)});`),
  "dropout.backward": over(
    "inputGradient",
    (_, { rate }) => `add_inputGradient(i, load_outputGradient(i) * load_mask(i) / ${float(1 - rate)});`,
  ),
  copy: (operands) => [forEach(operands, operands.words("target"), "set_word_target(i, word_source(i));")],
  zero: (operands) => [forEach(operands, operands.words("target"), "set_word_target(i, 0u);")],
  "outputs.accumulate": over("outputs", () => "store_outputs(i, load_outputs(i) + load_logits(i));"),
} satisfies Partial<WgslKernels>
