/** Which steps are trained: SLTT-K against SLTT. */
import { expect, test } from "bun:test"
import { Effect } from "effect"
import * as fc from "fast-check"
import { Key, Policy, Program, Steps, Train } from "../../src/index.ts"
import { Arbitrary } from "../../src/testing/index.ts"
import { deviation, drawn, expectSameBits, expectSameForward, onTape, rounding, runs, sync, train } from "./harness.ts"

const oneStep = (t: number): Policy.Policy =>
  Policy.sltt.pipe(
    Policy.trainOn(
      Steps.custom(
        `only(${t})`,
        () => 1,
        () => Effect.succeed([t]),
      ),
    ),
  )

const sum = (all: ReadonlyArray<ReadonlyMap<string, Float32Array>>): ReadonlyMap<string, ReadonlyArray<number>> =>
  new Map(
    [...all[0]!].map(([name, first]) => [
      name,
      Array.from(first, (_, i) => all.reduce((total, each) => total + each.get(name)![i]!, 0)),
    ]),
  )

test("slttK(T) is bit-identical to sltt", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), (workload) => {
      const sltt = train(workload, Policy.sltt)
      const all = train(workload, Policy.slttK(workload.timeSteps))
      expectSameBits(all.gradients, sltt.gradients)
      expectSameForward(all, sltt)
    }),
    runs(150),
  )
}, 60_000)

test("the gradient of slttK is the sum of sltt's over the drawn steps", () => {
  fc.assert(
    fc.property(Arbitrary.workload(), fc.nat({ max: 4 }), (workload, more) => {
      const policy = Policy.slttK(1 + (more % workload.timeSteps))
      const steps = drawn(policy, workload)
      expect(steps.length).toBe(1 + (more % workload.timeSteps))
      const some = train(workload, policy)
      const alone = steps.map((t) => train(workload, oneStep(t)))
      const { magnitudes } = onTape(workload, policy)
      expect(deviation(some.gradients, sum(alone.map(({ gradients }) => gradients)), magnitudes)).toBeLessThan(rounding)
      // What is not trained still runs: the forward direction is sltt's.
      expectSameForward(some, train(workload, Policy.sltt))
    }),
    runs(250),
  )
}, 60_000)

const choose = (from: ReadonlyArray<number>, k: number): ReadonlyArray<ReadonlyArray<number>> =>
  k === 0 ? [[]] : from.flatMap((t, i) => choose(from.slice(i + 1), k - 1).map((rest) => [t, ...rest]))

test("the mean gradient of slttK over all draws is K/T of sltt's", () => {
  fc.assert(
    fc.property(Arbitrary.workload({ maxTimeSteps: 4 }), fc.nat({ max: 3 }), (workload, more) => {
      const { timeSteps } = workload
      const k = 1 + (more % timeSteps)
      const sets = choose([...Array(timeSteps).keys()], k)
      const total = sum(sets.map((steps) => train(workload, Policy.slttK(k), { steps }).gradients))
      const mean = new Map(
        [...total].map(([name, values]) => [name, values.map((value) => ((value / sets.length) * timeSteps) / k)]),
      )
      const { magnitudes } = onTape(workload, Policy.sltt)
      expect(deviation(mean, train(workload, Policy.sltt).gradients, magnitudes)).toBeLessThan(rounding)
    }),
    runs(100),
  )
}, 60_000)

test("every set of K steps is drawn equally often", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.nat({ max: 4 }), fc.nat(), (timeSteps, more, seed) => {
      const k = 1 + (more % timeSteps)
      const sets = choose([...Array(timeSteps).keys()], k).map(String)
      const draws = 200 * sets.length
      const counts = new Map(sets.map((set) => [set, 0]))
      for (let n = 0; n < draws; n++) {
        const set = String(drawn(Policy.slttK(k), { timeSteps, seed: seed + n } as Arbitrary.Workload))
        counts.set(set, counts.get(set)! + 1)
      }
      // χ² of n − 1 degrees of freedom has mean n − 1 and variance 2(n − 1).
      const chiSquared = [...counts.values()].reduce((total, count) => total + (count - 200) ** 2 / 200, 0)
      expect(chiSquared).toBeLessThan(sets.length + 6 * Math.sqrt(2 * sets.length))
      expect([...counts.keys()]).toEqual(sets)
    }),
    runs(12),
  )
}, 60_000)

test("over a trainer's own draws, the mean gradient of slttK tends to K/T of sltt's", () => {
  const draws = 250
  fc.assert(
    fc.property(
      Arbitrary.workload({ maxBatchSize: 2 }).filter(({ timeSteps }) => timeSteps >= 2),
      fc.nat({ max: 2 }),
      (workload, more) => {
        const { timeSteps, seed } = workload
        const k = 1 + (more % (timeSteps - 1))
        const graph = Arbitrary.graphOf(workload)
        const batch = Arbitrary.batchOf(graph, workload)
        const parameters = Arbitrary.parametersOf(graph, workload)
        const weights = graph.parameters.filter(({ role }) => role === "weight")
        const directions = new Map(
          weights.map(({ name }) => [
            name,
            Key.normal(Key.fold(Key.make(seed), "direction", name), parameters.get(name)!.slice()),
          ]),
        )
        const project = (policy: Policy.Policy): ReadonlyArray<number> =>
          sync(
            Effect.gen(function* () {
              const options = { ...Arbitrary.optionsOf(workload), key: Key.make(seed) }
              const trainer = yield* Train.make(graph, policy, options)
              for (const [name, values] of parameters)
                yield* trainer.executable.write(Program.bufferNames.parameter(name), values)
              const found: Array<number> = []
              for (let update = 1; update <= draws; update++) {
                yield* trainer.step(batch, { update, learningRate: 0 })
                let projection = 0
                for (const { name } of weights) {
                  const gradient = yield* trainer.executable.read(Program.bufferNames.gradient(name))
                  for (let i = 0; i < gradient.length; i++) projection += gradient[i]! * directions.get(name)![i]!
                }
                found.push(projection)
              }
              return found
            }),
          )
        const whole = project(Policy.sltt)
        const differences = project(Policy.slttK(k)).map((value, n) => value - (k / timeSteps) * whole[n]!)
        const mean = differences.reduce((total, value) => total + value, 0) / draws
        const variance = differences.reduce((total, value) => total + (value - mean) ** 2, 0) / draws
        const size = Math.max(...whole.map(Math.abs))
        expect(Math.abs(mean)).toBeLessThanOrEqual(5 * Math.sqrt(variance / draws) + 1e-5 * size + 1e-9)
      },
    ),
    runs(10),
  )
}, 60_000)
