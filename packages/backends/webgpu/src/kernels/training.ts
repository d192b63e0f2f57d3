/** The loss and the firing rates. */
import type { KernelAttributes } from "@spikeroute/core"
import { columnSums } from "../column-reductions.ts"
import { float, forEach, forEachGroup, type Operands, type WgslKernelsOf } from "../shader.ts"

type LossAttributes = KernelAttributes["loss.forward"]

/** `largest_of(n)` and `total_of(n, largest)`: the largest logit of row n, and Σ exp(logit − largest). */
const softmax = (classes: number): string => `
fn largest_of(n: u32) -> f32 {
  var largest = load_logits(n * ${classes}u);
  for (var c = 1u; c < ${classes}u; c++) { largest = max(largest, load_logits(n * ${classes}u + c)); }
  return largest;
}
fn total_of(n: u32, largest: f32) -> f32 {
  var total = 0f;
  for (var c = 0u; c < ${classes}u; c++) { total += exp(load_logits(n * ${classes}u + c) - largest); }
  return total;
}`

/** The difference whose square is summed, for element `i` in column `c`. */
const difference = ({ target }: LossAttributes): string =>
  target === "ones" ? "load_logits(i) - 1f" : "load_logits(i) - select(0f, 1f, c == label)"

const extentsOf = (operands: Operands) => {
  const batch = operands.size("labels")
  return { batch, classes: operands.size("logits") / batch }
}

export const training: WgslKernelsOf<"loss" | "spikes"> = {
  "loss.forward": (operands, attributes) => {
    const { batch, classes } = extentsOf(operands)
    const { mix, terms } = attributes
    return [
      forEachGroup(
        operands,
        1,
        `  var loss = 0f;
  for (var n = local; n < ${batch}u; n += adders) {
    let label = u32(load_labels(n));
    let largest = largest_of(n);
    var own = ${float(1 - mix)} * (log(total_of(n, largest)) + (largest - load_logits(n * ${classes}u + label)));
    var squares = 0f;
    for (var c = 0u; c < ${classes}u; c++) {
      let i = n * ${classes}u + c;
      let difference = ${difference(attributes)};
      squares += difference * difference;
      ${operands.has("outputs") ? "store_outputs(i, load_outputs(i) + load_logits(i));" : ""}
    }
    own += ${float(mix / classes)} * squares;
    loss += ${operands.has("weights") ? "load_weights(n) * own" : "own"};
  }
  let sum = total(local, loss);
  if (local == 0u) { store_metrics(0u, load_metrics(0u) + ${operands.has("weights") ? "sum" : `sum / ${batch}f / ${terms}f`}); }`,
        softmax(classes),
      ),
    ]
  },
  "loss.backward": (operands, attributes) => {
    const { batch, classes } = extentsOf(operands)
    const { mix, terms } = attributes
    return [
      forEach(
        operands,
        batch,
        `  let n = i;
  let label = u32(load_labels(n));
  let largest = largest_of(n);
  let total = total_of(n, largest);
  for (var c = 0u; c < ${classes}u; c++) {
    let i = n * ${classes}u + c;
    let difference = ${difference(attributes)};
    let entropy = ${float(1 - mix)} * (exp(load_logits(i) - largest) / total - select(0f, 1f, c == label));
    add_logitsGradient(i, ${operands.has("weights") ? "load_weights(n)" : float(1 / (batch * terms))} * (entropy + ${float((2 * mix) / classes)} * difference));
  }`,
        softmax(classes),
      ),
    ]
  },
  "spikes.rate": (operands, { index, terms }) => {
    // The counts are integers, exact in float32 up to 2²⁴ per sum; padding bits are 0.
    const spikes = operands.isSpikes("spikes")
    const rows = spikes ? operands.words("spikes") : operands.size("spikes")
    return columnSums(
      operands,
      { rows, columns: 1 },
      {
        names: ["sum"],
        each: spikes ? "sum += f32(countOneBits(word_spikes(i)));" : "sum += load_spikes(i);",
        finish: `    store_metrics(${index}u, load_metrics(${index}u) + sum / ${operands.size("spikes")}f / ${terms}f);`,
      },
    )
  },
}
