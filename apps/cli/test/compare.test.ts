import { beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { run, small, temporaryDirectory } from "./support.ts"

const directory = temporaryDirectory()
const trained = join(directory, "trained")
const flags = "--backend wasm --limit 64 --batch-size 8".split(" ")

interface Comparison {
  readonly updates: number
  readonly batches: number
  readonly timeSteps: number
  readonly parameters: ReadonlyArray<{
    readonly parameter: string
    readonly temporalShare: number | null
    readonly policies: Readonly<Record<string, { readonly cosine: number | null; readonly normRatio: number | null }>>
  }>
}

const compare = async (...args: ReadonlyArray<string>): Promise<Comparison> => {
  const { code, stdout, stderr } = await run("compare", ...args, "--json")
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return JSON.parse(stdout)
}

beforeAll(async () => {
  expect((await run("train", ...small(1), "--out", trained)).code).toBe(0)
})

test("after some updates, gradients equal to BPTT's are distinguished from those that differ", async () => {
  const { parameters, updates, batches } = await compare(
    ...[...flags, "--time-steps", "4", "--batches", "2", "--train", "3", "--k", "4"],
    ...["--policies", "sltt,slttk,bptt-checkpoint,ottt"],
  )
  expect([updates, batches]).toEqual([3, 2])
  expect(parameters.map(({ parameter }) => parameter)).toEqual([
    ...["0.weight", "0.bias", "3.weight", "3.bias", "7.weight", "7.bias", "all"],
  ])
  for (const { policies } of parameters) {
    // Checkpointing does not change the gradient, and slttk with all steps equals sltt.
    expect(policies["bptt-checkpoint"]?.normRatio).toBe(1)
    expect(policies["bptt-checkpoint"]?.cosine).toBeCloseTo(1, 12)
    expect(policies["slttk(4)"]).toEqual(policies.sltt!)
    expect(policies.ottt?.cosine).toBeLessThanOrEqual(1 + 1e-12)
  }
  const [first] = parameters
  expect(first?.temporalShare).toBeGreaterThan(0.01)
  expect(first?.policies.sltt?.cosine).toBeGreaterThan(0.5)
  expect(first?.policies.sltt?.cosine).toBeLessThan(1)
  // The read-out has no temporal gradient.
  const readOut = parameters.find(({ parameter }) => parameter === "7.bias")
  expect(readOut?.temporalShare).toBeLessThan(1e-5)
  // ‖b − s‖² = ‖b‖² + ‖s‖² − 2·s·b for one batch, and approximately for means over two.
  const { cosine, normRatio } = first!.policies.sltt as { readonly cosine: number; readonly normRatio: number }
  expect(Math.sqrt(1 + normRatio ** 2 - 2 * cosine * normRatio)).toBeCloseTo(first!.temporalShare as number, 1)
})

test("with one time step there is no temporal gradient", async () => {
  const { parameters } = await compare(...flags, "--time-steps", "1", "--batches", "1", "--policies", "sltt,ottt")
  for (const { temporalShare, policies } of parameters) {
    expect(temporalShare ?? 0).toBe(0)
    expect(policies.ottt).toEqual(policies.sltt!)
    expect(policies.sltt?.normRatio ?? 1).toBe(1)
  }
})

test("compare uses the weights and settings of a run, with its time steps or others", async () => {
  const onRun = [trained, "--backend", "wasm", "--batches", "1", "--policies", "sltt"]
  const { updates, timeSteps, parameters } = await compare(...onRun)
  expect([updates, timeSteps]).toEqual([8, 3])
  const longer = await compare(...onRun, "--time-steps", "5")
  expect(longer.timeSteps).toBe(5)
  expect(longer.parameters).not.toEqual(parameters)
})

test("the default output is a table with one row per parameter", async () => {
  const { code, stdout } = await run("compare", ...flags, "--time-steps", "2", "--batches", "1")
  expect(code).toBe(0)
  expect(stdout).toMatch(/parameter +temporal share +sltt: cosine +norm ratio +slttk\(1\): cosine +norm ratio/)
  expect(stdout).toMatch(/\n0\.weight +[\d.–]+ +[\d.–]+ +[\d.–]+ +[\d.–]+ +[\d.–]+\n/)
})

test("invalid comparisons are refused", async () => {
  const refused = async (args: ReadonlyArray<string>, ...parts: ReadonlyArray<string>) => {
    const { code, stdout, stderr } = await run("compare", ...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    for (const part of parts) expect(stderr).toContain(part)
  }
  await refused([...flags, "--policies", "sltt,slt"], "slt", 'did you mean "sltt"?')
  await refused([...flags, "--batches", "9"], "8 batches", "9")
  await refused([...flags, "--batches", "0"], "--batches", "0")
  await refused([trained, "--model", "mlp"], "model", trained)
  await refused([...flags, "--time-steps", "4", "--k", "5"], "5 of 4 time steps")
})
