/**
 * `kernels`: what linear maps and convolutions cost at several densities, in each direction.
 *
 * A rate is that of a dense kernel that would take as long: 2·multiplications / time. For comparison: a dense convolution of oneDNN
 * takes 13.7 (direct) or 7.3 ms (Winograd) forward, 17.0 or 8.0 ms for the weights and 16.1 or 7.0 ms for the input in the case
 * 3×3, 64 → 64, 32×32, batch 32, on one core of an AVX-512 Xeon (177 GFLOP/s); one vector addition for each spike and vector of
 * outputs, 1.75 a cycle, bounds the speed-up of event-driven kernels over dense ones by 0.94/density.
 */
import { print, table } from "@spikeroute/cli/terminal"
import { Backend, Key, Program, Shape, Spikes } from "@spikeroute/core"
import { Context, Effect, Layer } from "effect"
import { backendLayer } from "../backends.ts"
import { inTurn, milliseconds } from "../timing.ts"

export const densities = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1]

/** A map: what its three kernels share. */
interface Map {
  readonly name: string
  readonly kernels: "conv2d" | "linear"
  readonly x: Shape.Shape
  readonly weight: Shape.Shape
  readonly y: Shape.Shape
  /** What x holds: spikes, or averages of four of them. */
  readonly input: "spikes" | "levels"
  readonly attributes: Readonly<Record<string, number>>
  readonly multiplications: number
}

const convolution = (batch: number, extent: number, inputs: number, outputs: number, input: Map["input"]): Map => ({
  name: `convolution 3×3 ${inputs} → ${outputs}, ${extent}×${extent}, batch ${batch}, ${input}`,
  kernels: "conv2d",
  x: [batch, extent, extent, inputs],
  weight: [3, 3, inputs, outputs],
  y: [batch, extent, extent, outputs],
  input,
  attributes: { stride: 1, padding: 1 },
  multiplications: batch * extent * extent * 9 * inputs * outputs,
})

const maps: ReadonlyArray<Map> = [
  convolution(32, 32, 64, 64, "spikes"),
  convolution(64, 14, 32, 64, "levels"),
  {
    name: "linear 1024 → 1024, batch 128, spikes",
    kernels: "linear",
    x: [128, 1024],
    weight: [1024, 1024],
    y: [128, 1024],
    input: "spikes",
    attributes: {},
    multiplications: 128 * 1024 * 1024,
  },
]

const directions = ["forward", "weightGradient", "inputGradient"] as const

type Direction = (typeof directions)[number]

/** A program of one instruction, and what its operands begin with. */
const instruction = (map: Map, direction: Direction, density: number) => {
  const uniform = (name: string, shape: Shape.Shape) =>
    Key.uniform(Key.fold(Key.make(0), name), new Float32Array(Shape.size(shape)))
  const sparse = (name: string, shape: Shape.Shape, value: (u: number) => number) => {
    const fires = uniform(`${name} fires`, shape)
    return uniform(name, shape).map((u, i) => ((fires[i] as number) < density ? value(u) : 0))
  }
  const spikes = direction === "inputGradient" || map.input === "levels" ? "float32" : "spikes"
  const level = (u: number) => (map.input === "spikes" ? 1 : Math.ceil(4 * u) / 4)
  const weight = { shape: map.weight, elements: "float32", values: uniform("weight", map.weight).map((u) => u - 0.5) }
  const input = { shape: map.x, elements: spikes, values: sparse("x", map.x, level) }
  const dense = { shape: map.y, elements: "float32", values: uniform("y", map.y).map((u) => u - 0.5) }
  const gradient = { shape: map.y, elements: "float32", values: sparse("y", map.y, (u) => u - 0.5) }
  const operands = {
    forward: { x: input, weight, y: { ...dense } },
    weightGradient: { x: input, outputGradient: dense, weightGradient: weight },
    inputGradient: { outputGradient: gradient, weight, inputGradient: { ...input, elements: "float32" } },
  }[direction] as Readonly<Record<string, typeof input>>
  let top = 0
  const buffers = Object.entries({ input: { ...weight, shape: [1] }, ...operands }).map(
    ([name, { shape, elements }]) => {
      const stride = Math.ceil(Spikes.byteLength(shape, elements as Spikes.Elements) / 64) * 64
      const offset = top
      top += stride
      return { name, kind: "state", shape, elements, slots: 1, offset, stride, lifetime: [0, 0] } as Program.Buffer
    },
  )
  const refs = Object.fromEntries(Object.keys(operands).map((name, i) => [name, { buffer: i + 1 }]))
  const kernel = `${map.kernels}.${direction}`
  const program = Program.singleInstruction(
    { kernel, operands: refs, attributes: map.attributes },
    { buffers, arenaBytes: top },
  )
  return { program, operands }
}

const timeMap = (map: Map, rounds: number) =>
  Effect.gen(function* () {
    const backend = yield* Backend
    const cases = directions.flatMap((direction) => densities.map((density) => ({ direction, density })))
    const runs = yield* Effect.forEach(cases, ({ direction, density }) =>
      Effect.gen(function* () {
        const { program, operands } = instruction(map, direction, density)
        const executable = yield* backend.prepare(program)
        for (const [name, { values }] of Object.entries(operands)) yield* executable.write(name, values)
        return executable.run([{ segment: "begin", t: 0 }])
      }),
    )
    const timings = yield* inTurn(runs, { rounds })
    const rate = (seconds: number) => ((2 * map.multiplications) / seconds / 1e9).toFixed(0)
    yield* print(
      [
        `\n${map.name}: ${backend.name} (${backend.description}), ms and dense-equivalent GFLOP/s`,
        table(
          ["density", ...directions.flatMap((direction) => [direction, "GFLOP/s", "× at 100 %"])],
          densities.map((density, d) => [
            `${100 * density} %`,
            ...directions.flatMap((_, i) => {
              const of = (at: number) => timings[i * densities.length + at]?.least as number
              return [milliseconds(of(d)), rate(of(d)), (of(densities.length - 1) / of(d)).toFixed(1)]
            }),
          ]),
        ),
      ].join("\n"),
    )
  }).pipe(Effect.scoped)

/** The least of the rounds is what a kernel can do; the median of a busy machine says more about the machine. */
export const kernels = (backends: ReadonlyArray<string>, threads: number, rounds: number) =>
  Effect.forEach(
    backends,
    (name) =>
      Effect.gen(function* () {
        const context = yield* Layer.build(backendLayer(name, threads))
        yield* Effect.forEach(maps, (map) => timeMap(map, rounds), { discard: true }).pipe(
          Effect.provideService(Backend, Context.get(context, Backend)),
        )
      }).pipe(Effect.scoped),
    { discard: true },
  )
