/** Neurons: their equations are core's. */
import type { Surrogate } from "@spikeroute/core"
import { columnSums } from "../columns.ts"
import { float, forEach, forEachSpike, type WgslKernel } from "../shader.ts"
import { decayFactor } from "./elementwise.ts"
import { surrogateFunctions } from "./surrogates.ts"

interface Attributes {
  readonly threshold: number
  readonly reset: "soft" | "hard" | "none"
  readonly surrogate: Surrogate.SurrogateOptions
  readonly smooth?: true
  readonly decay?: number
}

/** v after the reset, ∂v/∂u and ∂v/∂s as functions of u, s. */
const resets = (threshold: string) => ({
  soft: { after: `u - ${threshold} * s`, byMembrane: "1f", bySpike: `-${threshold}` },
  hard: { after: "u * (1f - s)", byMembrane: "1f - s", bySpike: "-u" },
  none: { after: "u", byMembrane: "1f", bySpike: "0f" },
})

/** `spike(u)`, and `settle(u)`, the potential after the reset. */
const functions = ({ threshold, reset, surrogate, smooth }: Attributes): string => {
  const level = float(threshold)
  const rule = resets(level)[reset]
  return `${surrogateFunctions(surrogate)}
fn spike(u: f32) -> f32 { return ${smooth ? `primitive(u - ${level})` : `select(0f, 1f, u >= ${level})`}; }
fn settle(u: f32) -> f32 { let s = spike(u); return ${rule.after}; }
fn by_membrane(s: f32) -> f32 { return ${rule.byMembrane}; }
fn by_spike(u: f32) -> f32 { return ${rule.bySpike}; }`
}

export const neurons = {
  "neuron.forward": (operands, attributes: Attributes) => {
    const charge = `let u = ${decayFactor(operands, attributes)} * settle(load_before(i)) + load_x(i);
    store_membrane(i, u);`
    return operands.isSpikes("spikes")
      ? [forEachSpike(operands, "spikes", `${charge} fires = spike(u) != 0f;`, functions(attributes))]
      : [forEach(operands, operands.size("spikes"), `${charge} store_spikes(i, spike(u));`, functions(attributes))]
  },
  "neuron.backward": (operands, attributes: Attributes & { readonly resetGradient: boolean }) => {
    const size = operands.size("membrane")
    const given = (name: string, text: string) => (operands.has(name) ? text : "")
    const each = `let u = load_membrane(i);
    let slope = gradient(u - ${float(attributes.threshold)});
    var change = ${operands.has("outputGradient") ? "load_outputGradient(i) * slope" : "0f"};
    ${given(
      "carry",
      `let arriving = load_carry(i);
    ${attributes.resetGradient ? "change += arriving * by_spike(u) * slope;" : ""}
    change += arriving * by_membrane(spike(u));
    store_carry(i, ${decayFactor(operands, attributes)} * change);`,
    )}
    ${given("inputGradient", "add_inputGradient(i, change);")}`
    if (!operands.has("decayGradient")) return [forEach(operands, size, each, functions(attributes))]
    return columnSums(
      operands,
      { rows: size, columns: 1 },
      {
        names: ["sum"],
        each: `${each} sum += change * settle(load_before(i));`,
        finish: "add_decayGradient(0u, sum);",
        declarations: functions(attributes),
      },
    )
  },
  // exp grows past float32 beyond 88; λ is 0 there.
  "decay.forward": (operands) => [forEach(operands, 1, "store_decay(0u, 1f / (1f + exp(min(load_w(0u), 88f))));")],
  "decay.backward": (operands) => [
    forEach(operands, 1, "add_wGradient(0u, -load_decay(0u) * (1f - load_decay(0u)) * load_outputGradient(0u));"),
  ],
  "readout.forward": (operands, { decay }: { readonly decay: number }) => [
    forEach(
      operands,
      operands.size("y"),
      `let u = ${float(decay)} * load_before(i) + load_x(i); store_membrane(i, u); store_y(i, u);`,
    ),
  ],
  "readout.backward": (operands, { decay }: { readonly decay: number }) => [
    forEach(
      operands,
      operands.size("inputGradient"),
      `let change = ${operands.has("outputGradient") ? "load_outputGradient(i)" : "0f"} + ${operands.has("carry") ? "load_carry(i)" : "0f"};
  add_inputGradient(i, change);
  ${operands.has("carry") ? `store_carry(i, ${float(decay)} * change);` : ""}`,
    ),
  ],
} satisfies Record<string, WgslKernel>
