import { describe, expect, test } from "bun:test"
import { encode } from "@spikeroute/backend-kernels"
import {
  conv2d,
  defaultLoss,
  flatten,
  Graph,
  lif,
  linear,
  Optimizer,
  Policy,
  Program,
  Shape,
  Windows,
} from "@spikeroute/core"
import { Effect } from "effect"
import { build } from "../src/index.ts"
import { load } from "../src/library.ts"
import { unavailable } from "./configurations.ts"

const graph = Graph.makeUnsafe(
  [6, 6, 1],
  Graph.sequential(conv2d({ channels: 3, kernelSize: 3 }), lif(), flatten(), linear({ features: 2 })),
)
const program = Effect.runSync(
  Program.compile(graph, Policy.sltt, {
    batchSize: 2,
    timeSteps: 3,
    loss: defaultLoss,
    optimizer: Optimizer.sgd(),
  }),
)
const packed = encode(program)

/** A program with a single 3 × 3 convolution with padding 1 on operands of these shapes, one of which may be spikes; and its memory layout. */
const only = (kernel: string, operands: Readonly<Record<string, Shape.Shape>>, spikes?: string) => {
  let arenaBytes = 0
  const buffers = Object.entries({ input: [1], ...operands }).map(([name, shape]): Program.Buffer => {
    const stride = 64 * Math.ceil(Shape.size(shape) / 16)
    const offset = arenaBytes
    arenaBytes += stride
    const elements = name === spikes ? "spikes" : "float32"
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
    }
  })
  const refs = Object.fromEntries(Object.keys(operands).map((name, i) => [name, { buffer: i + 1 }]))
  const layout = { buffers, arenaBytes }
  const attributes = { ...Windows.windowOf(3, 3, { stride: 1, padding: 1 }), groups: 1 }
  return [Program.singleInstruction({ kernel, operands: refs, attributes }, layout), layout] as const
}

if (unavailable === undefined) {
  const path = await build()
  const library = await load(path)
  const open = (words: Int32Array, length = words.length) => library.open(words, length, 1, 64)

  describe("invalid arguments never make the library access foreign memory", () => {
    test("a truncated or overlong program is refused", () => {
      for (let length = 0; length < packed.length; length += 7)
        expect(open(packed.slice(0, length), length)).toBeLessThan(0)
      expect(open(Int32Array.of(...packed, 0))).toBeLessThan(0)
    })

    test("a buffer outside the arena is refused", () => {
      const first = 5 + 2 * Program.segmentNames.length
      expect(open(packed.with(first, 2 ** 30))).toBe(-2)
    })

    test("a reference to a missing buffer is refused", () => {
      const begin = packed[5 + 2 * Program.segmentNames.indexOf("train")] as number
      expect(open(packed.with(begin + 1, 2 ** 13 * program.buffers.length)) % 16).toBe(-5)
    })

    test("calls of invalid segments or time steps are refused, and nothing runs", () => {
      const session = open(packed)
      for (const call of [
        [Program.segmentNames.length, 0],
        [-1, 0],
        [0, -1],
      ])
        expect(library.run(session, Int32Array.of(0, 0, ...call), 2)).toBe(10)
      expect(library.run(session, Int32Array.of(0, 0), 1)).toBe(0)
      library.close(session)
    })

    test("a closed, unknown or reused session number is refused", () => {
      const session = open(packed)
      library.close(session)
      const next = open(packed)
      expect(next).not.toBe(session)
      for (const wrong of [session, -1, 5000, 2 ** 31 - 1]) {
        expect(library.run(wrong, Int32Array.of(0, 0), 1)).toBe(9)
        expect(library.bytes(wrong)).toBe(0)
        expect(() => library.view(wrong, 0, 64)).toThrow("closed")
        library.close(wrong)
      }
      expect(library.run(next, Int32Array.of(0, 0), 1)).toBe(0)
      library.close(next)
    })

    test("a session running on another thread refuses a second run, and keeps its memory when it is closed", async () => {
      const session = open(packed)
      const forward = Program.segmentNames.indexOf("forward")
      const calls = new Int32Array(2 * 100_000).map((_, i) => (i % 2 === 0 ? forward : 0))
      const worker = new Worker(new URL("./run-in-worker.ts", import.meta.url), { type: "module" })
      const answer = new Promise<unknown>((resolve) => {
        worker.onmessage = ({ data }) => resolve(data)
      })
      worker.postMessage({ path, session, calls })
      const few = Int32Array.of(forward, 0)
      while (library.run(session, few, 1) !== 12) await new Promise((resolve) => setTimeout(resolve, 1))
      library.close(session)
      expect(library.run(session, few, 1)).toBe(9)
      expect(library.bytes(session)).toBe(0)
      expect(await answer).toBe(9)
      worker.terminate()
      const another = open(packed)
      expect(library.run(another, few, 1)).toBe(0)
      library.close(another)
    }, 60_000)

    test("weights transposed once per batch or at every step give bit-identical results", () => {
      const wide = Effect.runSync(
        Program.compile(
          Graph.makeUnsafe(
            [20],
            Graph.sequential(
              linear({ features: 200 }),
              lif(),
              linear({ features: 150 }),
              lif(),
              linear({ features: 3 }),
            ),
          ),
          Policy.sltt,
          { batchSize: 70, timeSteps: 3, loss: defaultLoss, optimizer: Optimizer.sgd() },
        ),
      )
      const after = (program: Program.Program) => {
        const session = library.open(encode(program), encode(program).length, 3, 64)
        const arena = library.view(session, 0, program.arenaBytes)
        for (const { name, kind, shape, offset } of program.buffers) {
          const values = new Float32Array(
            arena,
            offset,
            kind === "parameter" || name === "input" ? Shape.size(shape) : 0,
          )
          values.forEach((_, i) => {
            values[i] = ((i * 7919) % 211) / 211 - 0.4
          })
          if (name === Program.bufferNames.hyperparameters) new Float32Array(arena, offset, 1)[0] = 0.01
        }
        const calls = Program.schedule(program, [0, 1, 2]).map(({ segment, t }) => [
          Program.segmentNames.indexOf(segment),
          t,
        ])
        for (let batch = 0; batch < 3; batch++)
          expect(library.run(session, Int32Array.from(calls.flat()), calls.length)).toBe(0)
        const bytes = library.bytes(session)
        const parameters = wide.buffers
          .filter(({ kind }) => kind === "parameter")
          .map(({ shape, offset }) => new Float32Array(arena, offset, Shape.size(shape)).slice())
        library.close(session)
        return { bytes, parameters }
      }
      const kept = after(wide)
      // A program that trains one step caches nothing.
      const plain = after({ ...wide, trainedSteps: 1 })
      expect(kept.bytes > plain.bytes).toBe(library.vectorBytes(64) > 16)
      expect(kept.parameters).toEqual(plain.parameters)
      expect(kept.parameters.flatMap((values) => [...values]).every(Number.isFinite)).toBe(true)
    })

    test("a convolution without output channels does nothing", () => {
      const shapes = { x: [8, 12, 12, 32], outputGradient: [8, 12, 12, 0], weightGradient: [3, 3, 32, 0] }
      const session = open(encode(only("conv2d.weightGradient", shapes)[0]))
      expect(library.run(session, Int32Array.of(Program.segmentNames.indexOf("begin"), 0), 1)).toBe(0)
      library.close(session)
    })

    test("padding bits of spikes are ignored by convolutions", () => {
      const [convolution, { buffers, arenaBytes }] = only(
        "conv2d.forward",
        { x: [1, 4, 4, 5], weight: [3, 3, 5, 7], y: [1, 4, 4, 7] },
        "x",
      )
      const session = open(encode(convolution))
      const arena = library.view(session, 0, arenaBytes)
      const at = (i: number, count: number) => new Float32Array(arena, buffers[i]!.offset, count)
      at(2, 315).forEach((_, i, weight) => {
        weight[i] = i % 11
      })
      const spikes = new Uint32Array(arena, buffers[1]!.offset, 16)
      const outputs = [0b11010, 0xffffffe0 | 0b11010].map((word) => {
        spikes.fill(word)
        expect(library.run(session, Int32Array.of(Program.segmentNames.indexOf("begin"), 0), 1)).toBe(0)
        return [...at(3, 112)]
      })
      expect(outputs[0]?.some((value) => value !== 0)).toBe(true)
      expect(outputs[1]).toEqual(outputs[0] as Array<number>)
      library.close(session)
    })
  })
}
