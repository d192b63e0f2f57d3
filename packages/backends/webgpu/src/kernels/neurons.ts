/** Neurons: their equations are core's. */
import type { KernelAttributes } from "@spikeroute/core"
import { columnSums } from "../columns.ts"
import { float, forEach, forEachInImage, type Operands, type Stage, type WgslKernelsOf } from "../shader.ts"
import { fire, forEachSpike } from "../spikes.ts"
import { decayFactor } from "./elementwise.ts"
import { averageSpread, extents, pixelOf, tiles } from "./pooling.ts"
import { surrogateFunctions } from "./surrogates.ts"

type Attributes = KernelAttributes["neuron.forward"]

/** v after the reset, ∂v/∂u and ∂v/∂s as functions of u, s. */
const resets = (threshold: string) => ({
  soft: { after: `u - ${threshold} * s`, byMembrane: "1f", bySpike: `-${threshold}` },
  hard: { after: "u * (1f - s)", byMembrane: "1f - s", bySpike: "-u" },
  none: { after: "u", byMembrane: "1f", bySpike: "0f" },
})

/** `spike(u)`, and `reset_potential(u)`, the potential after the reset. */
const functions = ({ threshold, reset, surrogate, smooth }: Attributes): string => {
  const level = float(threshold)
  const rule = resets(level)[reset]
  return `${surrogateFunctions(surrogate)}
fn spike(u: f32) -> f32 { return ${smooth ? `primitive(u - ${level})` : `select(0f, 1f, u >= ${level})`}; }
fn reset_potential(u: f32) -> f32 { let s = spike(u); return ${rule.after}; }
fn by_membrane(s: f32) -> f32 { return ${rule.byMembrane}; }
fn by_spike(u: f32) -> f32 { return ${rule.bySpike}; }`
}

const charge = (operands: Operands, attributes: Attributes): string =>
  `let u = ${decayFactor(operands, attributes)} * reset_potential(load_before(i)) + load_x(i);
    store_membrane(i, u);`

export const neurons: WgslKernelsOf<"neuron" | "decay" | "readout"> = {
  "neuron.forward": (operands, attributes) => {
    const charged = charge(operands, attributes)
    return operands.isSpikes("spikes")
      ? [forEachSpike(operands, "spikes", `${charged} fires = spike(u) != 0f;`, functions(attributes))]
      : [forEach(operands, operands.size("spikes"), `${charged} store_spikes(i, spike(u));`, functions(attributes))]
  },
  "neuron.backward": (operands, attributes) => {
    const size = operands.size("membrane")
    const given = (name: string, text: string) => (operands.has(name) ? text : "")
    const pooled =
      attributes.pool && operands.has("outputGradient") ? averageSpread(operands, tiles(attributes.pool)) : undefined
    const arrived = pooled ? "arrived" : operands.has("outputGradient") ? "load_outputGradient(i)" : "0f"
    const each = `${pooled?.body ?? ""}
    let u = load_membrane(i);
    let slope = gradient(u - ${float(attributes.threshold)});
    var change = ${arrived} * slope;
    ${given(
      "carry",
      `let arriving = load_carry(i);
    ${attributes.resetGradient ? "change += arriving * by_spike(u) * slope;" : ""}
    change += arriving * by_membrane(spike(u));
    store_carry(i, ${decayFactor(operands, attributes)} * change);`,
    )}
    ${given("inputGradient", "add_inputGradient(i, change);")}`
    const declarations = `${functions(attributes)}${pooled?.declarations ?? ""}`
    if (!operands.has("decayGradient"))
      // Behind a pool an element reads another's gradient: that stage has no `each`, so nothing is fused before it.
      return [
        pooled
          ? forEachInImage(operands, extents(operands, "membrane"), each, declarations)
          : forEach(operands, size, each, declarations),
      ]
    return columnSums(
      operands,
      { rows: size, columns: 1 },
      {
        names: ["sum"],
        each: `${pooled ? pixelOf(extents(operands, "membrane")) : ""}${each} sum += change * reset_potential(load_before(i));`,
        finish: "add_decayGradient(0u, sum);",
        declarations,
      },
    )
  },
  // exp grows past float32 beyond 88; λ is 0 there.
  "decay.forward": (operands) => [forEach(operands, 1, "store_decay(0u, 1f / (1f + exp(min(load_w(0u), 88f))));")],
  "decay.backward": (operands) => [
    forEach(operands, 1, "add_wGradient(0u, -load_decay(0u) * (1f - load_decay(0u)) * load_outputGradient(0u));"),
  ],
  "readout.forward": (operands, { decay }) => [
    forEach(
      operands,
      operands.size("y"),
      `let u = ${float(decay)} * load_before(i) + load_x(i); store_membrane(i, u); store_y(i, u);`,
    ),
  ],
  "readout.backward": (operands, { decay }) => [
    forEach(
      operands,
      operands.size("inputGradient"),
      `let change = ${operands.has("outputGradient") ? "load_outputGradient(i)" : "0f"} + ${operands.has("carry") ? "load_carry(i)" : "0f"};
  add_inputGradient(i, change);
  ${operands.has("carry") ? `store_carry(i, ${float(decay)} * change);` : ""}`,
    ),
  ],
}

/** Windows for whose spikes there is workgroup memory, whatever shares the dispatch. */
const mostPooled = 8

/** `neuron.forward` and the average pool of its spikes, whose windows tile the image, as one stage; undefined where they do not. */
export const neuronAndPool = (
  operands: Operands,
  attributes: Attributes,
  { kernelSize, stride, padding }: KernelAttributes["averagePool.forward"],
): ReadonlyArray<Stage> | undefined => {
  const [, height = 1, width = 1, channels = 1] = operands.shape("spikes")
  const isTiled = stride === kernelSize && padding === 0 && height % kernelSize === 0 && width % kernelSize === 0
  if (!isTiled || kernelSize > mostPooled || !operands.isSpikes("spikes")) return undefined
  return [
    fire(operands, {
      ...{ name: "spikes", size: operands.size("spikes"), channels },
      body: `${charge(operands, attributes)} fires = spike(u) != 0f;`,
      declarations: functions(attributes),
      window: {
        ...{ height, width, kernelSize },
        finish: `store_y(place * ${channels}u + channel, f32(count) * ${1 / kernelSize ** 2}f);`,
      },
    }),
  ]
}
