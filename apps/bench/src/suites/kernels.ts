/**
 * `kernels`: time of linear layers and convolutions at several densities, in each direction, compared with the machine's peak rates.
 *
 * A rate is that of a dense kernel with the same time, 2·multiplications / time. Its share of the machine's multiply-adds may exceed 1,
 * because zeros are skipped. The necessary work, one addition per non-zero element, is compared with the machine's additions.
 *
 * For comparison, in the case 3×3, 64 → 64, 32×32, batch 32, on one core of an AVX-512 Xeon (177 GFLOP/s), oneDNN's dense convolution takes
 * 13.7 ms (direct) or 7.3 ms (Winograd) forward, 17.0 or 8.0 ms for the weights, and 16.1 or 7.0 ms for the input. One vector addition per
 * spike and vector of outputs, at 1.75 per cycle, bounds the speed-up of event-driven over dense kernels by 0.94 / density.
 */
import { Key, Program, referenceKernels as rules, Shape, Spikes } from "@spikeroute/core"
import { Effect } from "effect"
import { peerOf } from "../backends.ts"
import { ceilings } from "../method/ceilings.ts"
import type { Subject } from "../method/measure.ts"
import type { Case, Suite } from "../method/suite.ts"
import { deviation, openBackend } from "../workloads.ts"

export const densities = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1]

/** A linear layer or convolution: the operands that its three kernels share. */
interface LinearMap {
  readonly name: string
  readonly kernels: "conv2d" | "linear"
  readonly x: Shape.Shape
  readonly weight: Shape.Shape
  readonly y: Shape.Shape
  /** Whether x is spikes, or averages of four spikes. */
  readonly input: "spikes" | "levels"
  readonly attributes: Readonly<Record<string, number>>
  readonly multiplications: number
}

const convolution = (
  batch: number,
  extent: number,
  inputs: number,
  outputs: number,
  input: LinearMap["input"],
): LinearMap => ({
  name: `convolution 3×3 ${inputs} → ${outputs}, ${extent}×${extent}, batch ${batch}, ${input}`,
  kernels: "conv2d",
  x: [batch, extent, extent, inputs],
  weight: [3, 3, inputs, outputs],
  y: [batch, extent, extent, outputs],
  input,
  attributes: { stride: 1, padding: 1 },
  multiplications: batch * extent * extent * 9 * inputs * outputs,
})

const maps: ReadonlyArray<LinearMap> = [
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

/** A program of one instruction, and the initial values of its operands. */
const instruction = (map: LinearMap, direction: Direction, density: number) => {
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
      return {
        name,
        role: "operand",
        owner: name,
        kind: "state",
        shape,
        elements,
        slots: 1,
        offset,
        stride,
        lifetime: [0, 0],
      } as Program.Buffer
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

/** The operand that the kernel writes, and its expected values from the reference kernel. */
const expected = (kernel: string, map: LinearMap, operands: ReturnType<typeof instruction>["operands"]) => {
  const copies = Object.fromEntries(
    Object.entries(operands).map(([name, { shape, values }]) => [name, { shape, data: values.slice() }]),
  )
  const written = { forward: "y", weightGradient: "weightGradient", inputGradient: "inputGradient" }[
    kernel.split(".")[1] as Direction
  ]
  copies[written]?.data.fill(0)
  rules.get(kernel)?.run(copies, map.attributes)
  return { written, values: copies[written]?.data ?? [] }
}

/** The same layer with fewer samples, fast enough for the reference. */
const few = (map: LinearMap): LinearMap => {
  const [batch, ...rest] = map.x as [number, ...Array<number>]
  const less = Math.min(batch, map.kernels === "linear" ? 8 : 1)
  return {
    ...map,
    x: [less, ...rest],
    y: [less, ...map.y.slice(1)],
    multiplications: (map.multiplications / batch) * less,
  }
}

const subject = (map: LinearMap, direction: Direction, density: number, backend: string, threads: number): Subject => ({
  name: backend,
  ...peerOf(backend),
  values: { density, threads },
  open: Effect.gen(function* () {
    const service = yield* openBackend(backend, threads)
    const open = (each: LinearMap) =>
      Effect.gen(function* () {
        const { program, operands } = instruction(each, direction, density)
        const executable = yield* service.prepare(program)
        for (const [name, { values }] of Object.entries(operands)) yield* executable.write(name, values)
        return { executable, operands }
      })
    const { executable } = yield* open(map)
    return {
      run: Effect.as(executable.run([{ segment: "begin", t: 0 }]), undefined),
      repeatable: true,
      check: Effect.gen(function* () {
        const less = yield* open(few(map))
        yield* less.executable.run([{ segment: "begin", t: 0 }])
        const { written, values } = expected(`${map.kernels}.${direction}`, few(map), less.operands)
        return {
          against: `core's loops, batch ${few(map).x[0]}`,
          error: deviation(values, yield* less.executable.read(written)),
        }
      }).pipe(Effect.scoped),
      observe: (seconds) => ({
        figures: {
          "GFLOP/s": (2 * map.multiplications) / seconds / 1e9,
          "G additions/s": (density * map.multiplications) / seconds / 1e9,
        },
      }),
    }
  }),
})

export const kernels: Suite = {
  name: "kernels",
  about: "linear layers and convolutions: rate against density, compared with the machine's peak",
  seconds: 150,
  backends: ["native", "wasm"],
  cases: ({ quick, threads: counts }, backends) =>
    Effect.sync(() => {
      // One thread unless requested otherwise.
      const threads = Math.min(...counts)
      const chosen = quick ? [0.05, 0.2, 1] : densities
      const machine = (["widest", "128 bits"] as const).map(
        (vectors): Case => ({
          group: "ceilings",
          subject: `vectors: ${vectors}`,
          values: { threads },
          read: Effect.map(ceilings(vectors, threads), ({ vectorBits, fma, add, l2, memory }) => ({
            "vector bits": vectorBits,
            "GFLOP/s, multiply-adds": fma / 1e9,
            "G additions/s": add / 1e9,
            "GB/s, L2": l2 / 1e9,
            "GB/s, memory": memory / 1e9,
          })),
        }),
      )
      const groups = (quick ? maps.slice(0, 1) : maps).flatMap((map) =>
        directions.map(
          (direction): Case => ({
            group: `${map.name}, ${direction}`,
            values: {},
            subjects: backends.flatMap((backend) =>
              chosen.map((density) => subject(map, direction, density, backend, threads)),
            ),
          }),
        ),
      )
      return [...machine, ...groups]
    }),
}
