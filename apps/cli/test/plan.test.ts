import { expect, test } from "bun:test"
import { totalmem } from "node:os"
import { run } from "./support.ts"

const plan = async (...args: ReadonlyArray<string>) => JSON.parse((await run("plan", "--json", ...args)).stdout)

test("a plan contains peak bytes and operations, forward and backward", async () => {
  const { peakBytes, forward, backward } = await plan(
    ...["--model", "mlp", "--policy", "bptt", "--time-steps", "4", "--batch-size", "8"],
  )
  // 784·1000 once, because the image is static; 1000·1000 and 1000·10 for spikes, in each of 4 time steps.
  expect(forward.spikeOperations).toBe(8 * 4 * (1000 * 1000 + 1000 * 10))
  expect(forward.multiplications).toBeGreaterThan(8 * 784 * 1000)
  expect(backward.multiplications).toBeGreaterThan(8 * 4 * 1000 * 1000)
  expect(peakBytes).toBeGreaterThan(4 * 4 * 1_796_010)
})

test("peak bytes are independent of the time steps with sltt, slttk and rate, but not with bptt", async () => {
  const [short, long] = await Promise.all([
    plan("--compare", "--time-steps", "4"),
    plan("--compare", "--time-steps", "32"),
  ])
  const peaks = (plans: ReadonlyArray<{ readonly policy: string; readonly peakBytes: number }>) =>
    plans.map(({ peakBytes }) => peakBytes)
  expect(short.map(({ policy }: { readonly policy: string }) => policy)).toEqual(["bptt", "sltt", "slttk(1)", "rate"])
  expect(peaks(long).slice(1)).toEqual(peaks(short).slice(1))
  expect(peaks(long)[0]).toBeGreaterThan(3 * (peaks(short)[0] as number))
  expect(long[2].backward.multiplications).toBeLessThan(long[1].backward.multiplications / 20)
  expect(long[3].backward).toEqual(short[3].backward)
})

test("with a backend, the plan includes the workspace of its kernels", async () => {
  const size = ["--time-steps", "4", "--batch-size", "8"]
  const [program, reference, wasm] = await Promise.all([
    plan(...size),
    plan(...size, "--backend", "reference"),
    plan(...size, "--backend", "wasm"),
  ])
  expect(reference).toEqual({ ...program, backend: "reference", workspaceBytes: 0 })
  expect(wasm.workspaceBytes).toBeGreaterThan(0)
  expect(wasm.peakBytes).toBe(program.peakBytes + wasm.workspaceBytes)
})

test("a plan too large for a backend is refused with the figures, and plan states which backends can hold it", async () => {
  const recipe = ["--config", `${import.meta.dir}/../../../recipes/imagenet-nfresnet34-stage1.json`]
  for (const backend of ["wasm", "reference"]) {
    const { code, stdout, stderr } = await run("plan", ...recipe, "--backend", backend)
    expect({ code, stdout, lines: stderr.trim().split("\n").length }).toEqual({ code: 1, stdout: "", lines: 1 })
    for (const part of [`backend ${backend}`, "5.59 GB", "4.29 GB"]) expect(stderr).toContain(part)
  }
  const { stdout } = await run("plan", ...recipe)
  expect(stdout).toContain(totalmem() < 5.59e9 ? "cannot hold 5.59 GB" : "4.29 GB at most")
  expect((await run("plan", ...recipe, "--batch-size", "64")).stdout).not.toContain("at most")
})

test("--recompute reduces the memory of every policy that stores layer outputs, also with --compare", async () => {
  const size = [
    "--model",
    "vgg11",
    "--dataset",
    "cifar10",
    "--width",
    "0.125",
    "--time-steps",
    "4",
    "--batch-size",
    "8",
  ]
  const [kept, again] = await Promise.all([plan("--compare", ...size), plan("--compare", "--recompute", ...size)])
  expect(again.map(({ policy }: { readonly policy: string }) => policy)).toEqual([
    ...["bptt-recompute", "sltt-recompute", "slttk(1)-recompute", "rate-recompute"],
  ])
  for (const [i, { peakBytes }] of kept.entries()) {
    // The rate policy's pass stores none of its values.
    if (kept[i].policy === "rate") expect(again[i].peakBytes).toBe(peakBytes)
    else expect(again[i].peakBytes).toBeLessThan(peakBytes)
  }
})

test("the default output is a table", async () => {
  const { code, stdout } = await run("plan", "--compare", "--program", "--time-steps", "4")
  expect(code).toBe(0)
  expect(stdout).toMatch(/peak memory +[\d.]+ MB +[\d.]+ MB +[\d.]+ MB/)
  expect(stdout).toContain("conv2d.forward x=input")
})

test("--ranks adds the LogGP cost of the exchange and the memory per process", async () => {
  const link = ["--bandwidth", "8Gb", "--latency", "10us", "--step", "100ms"]
  const [one, two, four] = await plan(
    "--model",
    "mlp",
    "--time-steps",
    "2",
    "--batch-size",
    "8",
    "--ranks",
    "4",
    ...link,
  )
  expect(one).toMatchObject({ ranks: 1, samples: 8, bytes: 0, messages: 0, seconds: 0, efficiency: 1 })
  // 784·1000 + 1000·1000 + 1000·10 weights, 2010 biases, the loss and two firing rates: sent once each in the
  // reduce-scatter and the all-gather.
  const numbers = 1_796_010 + 3
  expect(four).toMatchObject({ ranks: 4, samples: 2, messages: 6, bytes: 4 * numbers * 2 * (3 / 4) })
  const seconds = 6 * 10e-6 + four.bytes / 1e9
  expect(four.seconds).toBeCloseTo(seconds, 12)
  expect(four.efficiency).toBeCloseTo(0.025 / (0.025 + seconds), 12)
  expect(two.peakBytes.sltt).toBeLessThan(one.peakBytes.sltt)
  const { code, stderr } = await run("plan", "--ranks", "4", "--bandwidth", "fast")
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("--bandwidth") })
})
