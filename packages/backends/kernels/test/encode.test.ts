import { expect, test } from "bun:test"
import { Graph, leakyReadout, linear, Program } from "@spikeroute/core"
import { Effect } from "effect"
import { arenaBytes, describeRefusal, encode } from "../src/index.ts"

const graph = Graph.makeUnsafe([2], Graph.sequential(linear({ features: 3, bias: false }), leakyReadout({ tau: 4 })))
const program = Effect.runSync(Program.compileInference(graph, { batchSize: 5, timeSteps: 7, encoding: "frames" }))

test("a program is encoded as program.h describes", () => {
  const packed = encode(program)
  const [magic, words, buffers, timeSteps, arena] = packed
  expect([magic, words, buffers, timeSteps]).toEqual([0x53524b33, packed.length, program.buffers.length, 7])
  expect(64 * (arena as number)).toBe(program.arenaBytes)
  expect(arenaBytes(packed)).toBe(program.arenaBytes)

  const header = 5 + 2 * Program.segmentNames.length
  const weight = program.buffers.findIndex(({ name }) => name === "parameter/0.weight")
  const { offset, stride } = program.buffers[weight] as Program.Buffer
  const expected = [offset / 64, stride / 64, 1, 1, 0, 2, 2, 3, 0, 0, 0, 0, 0, 0, 6, 3, 2]
  expect([...packed.subarray(header + 17 * weight, header + 17 * (weight + 1))]).toEqual(expected)

  const forward = Program.segmentNames.indexOf("forward")
  const [begin = 0, count] = packed.subarray(5 + 2 * forward)
  expect(count).toBe(program.segments.forward.length)
  const [map, readout] = program.segments.forward as [Program.Instruction, Program.Instruction]
  const ref = ({ operands }: Program.Instruction, name: string) => 2 ** 13 * (operands[name]?.buffer as number)
  // linear.forward is the first kernel; there is no bias, and the weights serve all steps.
  expect([...packed.subarray(begin, begin + 6)]).toEqual([0, ref(map, "x"), ref(map, "weight"), -1, ref(map, "y"), 1])
  // The read-out reads its previous state, after three inputs. Its expression contains the decay, 3/4 as float32.
  expect(packed[begin + 7]).toBe(ref(readout, "x0"))
  expect(packed[begin + 10]).toBe(ref(readout, "before") + 1)
  expect([...packed.subarray(begin + 20, begin + 22)]).toEqual([ref(readout, "state"), ref(readout, "y")])
  const expression = begin + 22 + (packed[begin + 22] as number)
  expect([...packed.subarray(expression, expression + 8)]).toEqual([3, 1, 4, 2, 0, 0, 0x3f400000, 0])
})

test("a refusal names its instruction", () => {
  expect(describeRefusal(-(8 + 16 * 5))).toContain("instruction 5")
  expect(describeRefusal(10)).toContain("segment")
})
