/** Expresses a node of ours as a NIR node that is equivalent under a discretisation. */
import { combine, constantOf, type Dynamics, type Factor, factorOf, plus, type Sum } from "./dynamics.ts"
import type { Settled } from "./neurons.ts"

/** The type and parameters of a NIR node, or the reason why there is none. */
export type Described = { readonly type: string; readonly parameters: Readonly<Record<string, Factor>> } | string

class Unsaid extends Error {}

const refuse = (reason: string): never => {
  throw new Unsaid(reason)
}

/** Whether numbers are equal up to rounding. */
const isNear = (a: Factor, b: Factor): boolean =>
  combine((x, y) => (Math.abs(x - y) <= 1e-6 * Math.max(Math.abs(x), Math.abs(y)) ? 1 : 0), a, b).every(
    (each) => each === 1,
  )

const isSame = (a: Sum, b: Sum): boolean =>
  [...new Set([...a.keys(), ...b.keys()])].every((value) => isNear(factorOf(a, value), factorOf(b, value)))

const only = (sum: Sum, ...values: ReadonlyArray<string>): boolean =>
  [...sum.keys()].every((value) => values.includes(value))

const bits = new DataView(new ArrayBuffer(4))

/** The largest float32 number below another: u ≥ ϑ is equivalent to u > below(ϑ). */
const below = (value: number): number => {
  const rounded = Math.fround(value)
  if (rounded === 0) return -(2 ** -149)
  bits.setFloat32(0, rounded)
  bits.setInt32(0, bits.getInt32(0) + (rounded > 0 ? -1 : 1))
  return bits.getFloat32(0)
}

const divided = (a: Factor, b: Factor): Factor => combine((x, y) => x / y, a, b)

/** The time constant of a membrane or a current, from its decay factor. */
const timeConstant = (kept: Factor, what: string, { dt, scheme }: Settled): Factor => {
  if (!kept.every((each) => each < 1 && (each > 0 || (each === 0 && scheme === "euler"))))
    refuse(
      `its ${what} keeps ${kept.find((each) => !(each > 0 && each < 1))} of itself; NIR's keep more than 0 and less than 1`,
    )
  return kept.map((each) => (scheme === "euler" ? dt / (1 - each) : -dt / Math.log(each)))
}

/** How the membrane is charged: by the input, or by a synaptic current. */
interface Charge {
  /** Charge per unit of input or current. */
  readonly gain: Factor
  /** Parameters of the current, if there is one. */
  readonly synapse: Readonly<Record<string, Factor>>
}

const chargeOf = ({ states }: Dynamics, current: number, charged: Sum, how: Settled): Charge => {
  if (current < 0) return { gain: factorOf(charged, "x"), synapse: {} }
  const value = `s.${current}`
  const { still, fired } = states[current] as Dynamics["output"]
  if (fired.size > 0 || !only(still, "x", value)) refuse("its current depends on more than itself and the input")
  const [kept, added] = [factorOf(still, value), factorOf(still, "x")]
  const tau = timeConstant(kept, "current", how)
  const gain = divided(factorOf(charged, "x"), added)
  if (
    !gain.every(Number.isFinite) ||
    !isNear(
      factorOf(charged, value),
      combine((x, y) => x * y, gain, kept),
    )
  )
    refuse("its membrane is not charged by the current of the same step")
  const weight = how.synapse === "jump" ? added : combine((x, y) => x / (1 - y), added, kept)
  return { gain, synapse: { tau_syn: tau, w_in: weight } }
}

/** The potential after a spike; 0 for a reset by subtraction. */
const resetOf = (charged: Sum, fired: Sum, threshold: Factor, { reset }: Settled): Factor => {
  if (fired.size === 0) return refuse("its spikes do not reset it")
  const down = constantOf(fired)
  if (down !== undefined) {
    if (
      !isNear(
        down.map((each) => -each),
        threshold,
      )
    )
      refuse("its reset is by another amount than its threshold")
    return reset === "subtract"
      ? Float64Array.of(0)
      : refuse('its reset subtracts the threshold; reset: "value" does not')
  }
  const to = constantOf(plus(charged, fired))
  if (to === undefined) return refuse("its reset is neither to a value nor by its threshold")
  return reset === "value" ? to : refuse('it resets to a value; reset: "subtract" does not')
}

/** A node without state: a factor or a threshold. */
const instant = ({ output: { still, fired }, fires }: Dynamics, how: Settled): Described => {
  if (fires === undefined)
    return only(still, "x")
      ? { type: "Scale", parameters: { scale: factorOf(still, "x") } }
      : refuse("it adds a constant")
  const factor = factorOf(fires, "x")
  if (still.size > 0 || !isOne(fired) || !only(fires, "x", "1") || !factor.every((each) => each > 0))
    refuse("its output is not 1 above a threshold and 0 below")
  const threshold = divided(factorOf(fires, "1"), factor).map((each) => -each)
  return { type: "Threshold", parameters: { threshold: thresholdOf(threshold, how) } }
}

const isOne = (sum: Sum): boolean => constantOf(sum)?.every((each) => each === 1) === true

const thresholdOf = (threshold: Factor, { compare }: Settled): Factor =>
  compare === "greater" ? threshold.map(below) : threshold

/** The offset of our membrane potential from NIR's. */
const originOf = (start: number, leak: Factor | undefined, reset: Factor | undefined, how: Settled): number => {
  if (how.start === "zero") return start
  const begins = how.start === "leak" ? leak : reset
  return begins !== undefined && isNear(begins, Float64Array.of(start))
    ? 0
    : refuse(`it does not start at the ${how.start} potential`)
}

const neuron = (dynamics: Dynamics, initial: ReadonlyArray<number>, how: Settled): Described => {
  const { states, output, fires } = dynamics
  const current = states.length === 1 ? -1 : states.findIndex(({ still }, k) => only(still, "x", `s.${k}`))
  const membrane = states.length === 1 ? 0 : 1 - current
  if (states.length > 2 || (states.length === 2 && current < 0)) refuse("its states are not a membrane and a current")
  if (current >= 0 && initial[current] !== 0) refuse("its current does not start at 0")
  const { still: charged, fired } = states[membrane] as Dynamics["output"]
  if (!only(charged, "x", "1", ...states.map((_, k) => `s.${k}`)))
    refuse("its membrane depends on more than its states")

  const kept = factorOf(charged, `s.${membrane}`)
  const { gain, synapse } = chargeOf(dynamics, current, charged, how)
  const constant = factorOf(charged, "1")
  const leaks = !kept.every((each) => each === 1)
  const start = initial[membrane] ?? 0
  const leak = leaks ? combine((x, y) => x / (1 - y), constant, kept) : undefined

  const threshold = fires && constantOf(plus(charged, fires, -1))
  if (fires && (threshold === undefined || output.still.size > 0 || !isOne(output.fired)))
    refuse("its output is not 1 above a threshold of the membrane and 0 below")
  if (!fires && (fired.size > 0 || output.fired.size > 0 || !isSame(output.still, charged)))
    refuse("its output is not the potential of the membrane")
  const reset = threshold && resetOf(charged, fired, threshold, how)
  const origin = originOf(start, leak, how.reset === "value" ? reset : undefined, how)
  if (!fires && origin !== 0) refuse("its potential does not start at 0")
  const shifted = (values: Factor) => values.map((each) => each - origin)
  const firing = threshold && {
    v_threshold: thresholdOf(shifted(threshold), how),
    v_reset: how.reset === "value" ? shifted(reset as Factor) : (reset as Factor),
  }
  const suffix = fires ? "IF" : "I"
  if (leak === undefined) {
    if (current >= 0 || constant.some((each) => each !== 0))
      refuse("its membrane has no leak, beside a current or a constant")
    return { type: suffix, parameters: { r: gain.map((each) => each / how.dt), ...firing } }
  }
  const tau = timeConstant(kept, "membrane", how)
  const r = combine((x, y) => x / (1 - y), gain, kept)
  const parameters = { r, v_leak: shifted(leak), ...firing }
  return current < 0
    ? { type: `L${suffix}`, parameters: { tau, ...parameters } }
    : { type: `CubaL${suffix}`, parameters: { tau_mem: tau, ...synapse, ...parameters } }
}

/** The NIR node equivalent to a node of ours, whose states start at `initial`. */
export const described = (dynamics: Dynamics, initial: ReadonlyArray<number>, how: Settled): Described => {
  try {
    return dynamics.states.length === 0 ? instant(dynamics, how) : neuron(dynamics, initial, how)
  } catch (error) {
    if (error instanceof Unsaid) return error.message
    throw error
  }
}
