/** Recipes use the settings of the SLTT paper (Meng et al., ICCV 2023) or train a compact model; all of them can be planned and trained. */
import { describe, expect, test } from "bun:test"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { crc32, deflateSync } from "node:zlib"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { type Expressions, Graph, Program, Safetensors } from "@spikeroute/core"
import { datasets, sampleOf } from "@spikeroute/datasets"
import { Effect } from "effect"
import * as Config from "../src/config.ts"
import { layerOf } from "../src/network.ts"
import { readJson, run, temporaryDirectory } from "./support.ts"

const directory = fileURLToPath(new URL("../../../recipes", import.meta.url))
const names = readdirSync(directory)
  .filter((name) => name.endsWith(".json"))
  .sort()
const recipe = (name: string): string => join(directory, `${name}.json`)

const settingsOf = (name: string): Promise<Config.Settings> =>
  Effect.runPromise(
    Effect.map(Config.readConfigFile(recipe(name)), Config.resolve).pipe(Effect.provide(NodeServices.layer)),
  )

const compiled = (config: Config.Settings) =>
  Effect.gen(function* () {
    const sample = sampleOf(datasets[config.dataset] as (typeof datasets)[string], config.size)
    const graph = yield* Graph.make(sample.shape, layerOf(config, sample.classes))
    const policy = yield* Config.policyOf(config)
    const program = yield* Program.compile(graph, policy, Config.trainingOptions(config, sample))
    return { graph, program: yield* Program.check(program), shape: sample.shape }
  }).pipe(Effect.runPromise)

/** The paper's table: data, network, T, batch, epochs, learning rate, weight decay, dropout, β and its target, K. */
const rows = [
  ["cifar10-resnet18-sltt", "cifar10", "resnet18", 6, 128, 200, 0.1, 5e-5, 0, 0.05, "ones", undefined],
  ["cifar100-resnet18-sltt", "cifar100", "resnet18", 6, 128, 200, 0.1, 5e-4, 0, 0.05, "ones", undefined],
  ["cifar10-dvs-vgg11-sltt", "cifar10-dvs", "vgg11", 10, 128, 300, 0.05, 5e-4, 0.3, 0.05, "one-hot", undefined],
  ["cifar10-dvs-vgg11-slttk2", "cifar10-dvs", "vgg11", 10, 128, 300, 0.05, 5e-4, 0.3, 0.05, "one-hot", 2],
  ["dvs-gesture-vgg11-sltt", "dvs-gesture", "vgg11", 20, 16, 300, 0.1, 5e-4, 0.4, 0.05, "ones", undefined],
  ["dvs-gesture-vgg11-slttk4", "dvs-gesture", "vgg11", 20, 16, 300, 0.1, 5e-4, 0.4, 0.05, "ones", 4],
  ["imagenet-nfresnet34-stage1", "image-folder", "nfresnet34", 1, 256, 100, 0.1, 1e-5, 0, 0, "ones", undefined],
  ["imagenet-nfresnet34-stage2-sltt", "image-folder", "nfresnet34", 6, 256, 30, 0.001, 0, 0, 0, "ones", undefined],
  ["imagenet-nfresnet34-stage2-slttk1", "image-folder", "nfresnet34", 6, 256, 30, 0.001, 0, 0, 0, "ones", 1],
  ["imagenet-nfresnet34-stage2-slttk2", "image-folder", "nfresnet34", 6, 256, 30, 0.001, 0, 0, 0, "ones", 2],
] as const

const shapes: Readonly<Record<string, ReadonlyArray<number>>> = {
  cifar10: [32, 32, 3],
  cifar100: [32, 32, 3],
  "cifar10-dvs": [48, 48, 2],
  "dvs-gesture": [128, 128, 2],
  "image-folder": [224, 224, 3],
}

test("evaluating an ImageNet run takes a small fraction of the training memory", async () => {
  const config = await settingsOf("imagenet-nfresnet34-stage1")
  const { graph, program } = await compiled(config)
  const { arenaBytes } = await Effect.runPromise(
    Program.compileInference(graph, Config.inferenceOptions(config, program)),
  )
  expect(arenaBytes).toBeLessThan(0.25 * program.arenaBytes)
  // 65 and 257 cannot be split into equal parts of 16 to 64 samples.
  const parts = (batchSize: number) =>
    Config.inferenceOptions({ ...config, batchSize }, { encoding: "static" }).microBatches
  expect([1, 64, 65, 96, 128, 256, 257].map(parts)).toEqual([1, 1, 1, 2, 2, 4, 1])
})

test("--policy overrides a recipe's policy and drops its k", async () => {
  const { code, stdout } = await run(
    "plan",
    "--config",
    recipe("dvs-gesture-vgg11-slttk4"),
    "--policy",
    "sltt",
    "--json",
  )
  expect([code, JSON.parse(stdout).policy]).toEqual([0, "sltt"])
})

/** Recipes of compact models that train in minutes on two cores: data, network, parameters. */
const compact = [
  ["fashion-mnist-mobilenet-sltt", "fashion-mnist", "mobilenet", 36_874],
  ["heartbeats-cnn1d-sltt", "heartbeats", "cnn1d", 13_461],
] as const

test("every recipe is a row of the table or trains a compact model", () => {
  expect(names).toEqual([...rows, ...compact].map(([name]) => `${name}.json`).sort())
})

for (const [name, dataset, model, parameters] of compact)
  test(`${name} compiles with few enough parameters for a microcontroller`, async () => {
    const config = await settingsOf(name)
    expect(config).toMatchObject({ dataset, model, policy: "sltt", timeSteps: 4, optimizer: "adam" })
    const { graph, program } = await compiled(config)
    expect(Graph.parameterCount(graph)).toBe(parameters)
    expect(program.trainedSteps).toBe(4)
  })

for (const [name, dataset, model, timeSteps, batchSize, epochs, lr, weightDecay, dropout, lossMix, target, k] of rows)
  test(`${name} has the row's settings and compiles`, async () => {
    const config = await settingsOf(name)
    expect(config).toMatchObject({ dataset, model, timeSteps, batchSize, epochs, lr, weightDecay, dropout, lossMix })
    expect(config).toMatchObject({ lossTarget: target, policy: k === undefined ? "sltt" : "slttk", tau: 1.1 })
    expect(config.k).toBe(k as number)
    expect(config).toMatchObject({ optimizer: "sgd", momentum: 0.9, schedule: "cosine", warmUp: 0, width: 1 })
    expect(config.augment).toEqual((datasets[dataset]?.augment ?? []) as typeof config.augment & {})
    const { graph, program, shape } = await compiled(config)
    expect(shape).toEqual(shapes[dataset]!)
    expect(program.trainedSteps).toBe(k ?? timeSteps)
    expect(program.loss).toEqual({ mix: lossMix, target })
    expect(program.optimizer).toMatchObject({ name: "sgd", options: { momentum: 0.9, weightDecay } })
    // λ = 1 − 1/1.1 in all neurons; one mask per dropout layer, drawn once per batch.
    const codes = graph.nodes.flatMap(({ attributes: { kind, code } }) =>
      kind === "lif" ? [code as Expressions.Code] : [],
    )
    expect(codes.length).toBeGreaterThan(0)
    for (const code of codes) expect(code).toContainEqual(["constant", Math.fround(1 / 11)])
    const masks = graph.nodes.filter(({ op }) => op === "dropoutMask")
    expect(masks.length > 0).toBe(dropout > 0)
    const drawn = Object.entries(program.segments).flatMap(([segment, instructions]) =>
      instructions.filter(({ kernel }) => kernel === "dropout.mask").map(() => segment),
    )
    expect(drawn).toEqual(masks.map(() => "begin"))
  })

test("both ImageNet stages take the same memory, with T = 1 and T = 6; deeper networks compile with both", async () => {
  const [first, second] = await Promise.all(
    ["imagenet-nfresnet34-stage1", "imagenet-nfresnet34-stage2-sltt"].map(settingsOf),
  )
  expect((await compiled(second!)).program.arenaBytes).toBe((await compiled(first!)).program.arenaBytes)
  for (const model of ["nfresnet50", "nfresnet101"] as const)
    for (const config of [first!, second!]) {
      const { program } = await compiled({ ...config, model })
      expect(program.arenaBytes).toBeGreaterThan(0)
    }
})

describe("a few training steps", () => {
  const place = temporaryDirectory()
  const small = "--backend wasm --epochs 1 --limit 8 --batch-size 4".split(" ")
  const train = async (name: string, out: string, ...flags: ReadonlyArray<string>) => {
    const { code, stderr } = await run(
      "train",
      "--config",
      recipe(name),
      ...small,
      "--width",
      "0.03",
      ...flags,
      "--out",
      join(place, out),
    )
    expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" })
    return { config: readJson(place, out, "config.json"), summary: readJson(place, out, "summary.json") }
  }

  test("on heartbeats, without data files", async () => {
    const { config, summary } = await train("heartbeats-cnn1d-sltt", "heartbeats")
    expect(summary).toMatchObject({ updates: 2, policy: "sltt", timeSteps: 4 })
    expect(config).toMatchObject({ model: "cnn1d", augment: [] })
  })

  test("on CIFAR-10", async () => {
    const records = (seed: number) =>
      Uint8Array.from({ length: 8 * 3073 }, (_, i) => (i % 3073 === 0 ? (i / 3073) % 10 : (i * seed) % 251))
    mkdirSync(join(place, "cifar10"))
    writeFileSync(join(place, "cifar10", "data_batch_1.bin"), records(7))
    writeFileSync(join(place, "cifar10", "test_batch.bin"), records(11))
    const { config, summary } = await train("cifar10-resnet18-sltt", "cifar", "--data-dir", join(place, "cifar10"))
    expect(summary).toMatchObject({ updates: 2, policy: "sltt", timeSteps: 6 })
    // A run's config.json can be used as a config file.
    expect(config).toMatchObject({ augment: ["crop", "cutout", "flip"], weightDecay: 5e-5, lossTarget: "ones" })
  })

  test("on CIFAR-100", async () => {
    const records = (seed: number) =>
      Uint8Array.from({ length: 8 * 3074 }, (_, i) => (i % 3074 < 2 ? Math.floor(i / 3074) * 9 : (i * seed) % 251))
    mkdirSync(join(place, "cifar100"))
    writeFileSync(join(place, "cifar100", "train.bin"), records(7))
    writeFileSync(join(place, "cifar100", "test.bin"), records(11))
    const { summary } = await train("cifar100-resnet18-sltt", "cifar100-run", "--data-dir", join(place, "cifar100"))
    expect(summary).toMatchObject({ updates: 2, policy: "sltt", timeSteps: 6 })
  })

  test("on CIFAR10-DVS, with SLTT-2", async () => {
    // AEDAT 2.0: address and time of each event, big-endian.
    const recording = (seed: number) => {
      const header = Buffer.from("#!AER-DAT2.0\r\n")
      const events = Buffer.alloc(64 * 8)
      for (let i = 0; i < 64; i++) {
        events.writeUInt32BE((((i * seed) % 128) << 8) | (((i * 3) % 128) << 1) | (i % 2), 8 * i)
        events.writeUInt32BE(10 * i, 8 * i + 4)
      }
      return Buffer.concat([header, events])
    }
    const data = join(place, "cifar10-dvs")
    for (const [i, name] of "airplane automobile bird cat deer dog frog horse ship truck".split(" ").entries()) {
      mkdirSync(join(data, name), { recursive: true })
      for (const number of [0, 900])
        writeFileSync(join(data, name, `cifar10_${name}_${number}.aedat`), recording(2 * i + 1))
    }
    const { config, summary } = await train("cifar10-dvs-vgg11-slttk2", "cifar10-dvs-run", "--data-dir", data)
    expect(summary).toMatchObject({ updates: 2, policy: "slttk", k: 2, timeSteps: 10 })
    expect(config).toMatchObject({ dropout: 0.3, lossTarget: "one-hot" })
  })

  test("on DVS-Gesture, with SLTT-4", async () => {
    // AEDAT 3.1: a packet of polarity events, little-endian.
    const words = (...values: ReadonlyArray<number>) => Buffer.from(Uint32Array.from(values).buffer)
    const events = Array.from({ length: 64 }, (_, i) => [
      ((i * 5) % 128) * 2 ** 17 + (((i * 3) % 128) << 2) + (i % 2) * 2 + 1,
      i,
    ])
    const recording = Buffer.concat([
      Buffer.from("#!AER-DAT3.1\r\n#!END-HEADER\r\n"),
      words(1, 8, 4, 0, events.length, events.length, events.length, ...events.flat()),
    ])
    const data = join(place, "dvs-gesture")
    mkdirSync(data)
    for (const [part, user] of [
      ["train", "user01_led"],
      ["test", "user24_led"],
    ]) {
      writeFileSync(join(data, `trials_to_${part}.txt`), `${user}.aedat\n`)
      writeFileSync(join(data, `${user}.aedat`), recording)
      const gestures = [1, 2, 3, 4].map((name) => `${name},${(name - 1) * 16},${name * 16}`)
      writeFileSync(join(data, `${user}_labels.csv`), ["class,startTime_usec,endTime_usec", ...gestures, ""].join("\n"))
    }
    const flags = ["--data-dir", data, "--size", "48"]
    const { config, summary } = await train("dvs-gesture-vgg11-slttk4", "dvs-gesture-run", ...flags)
    expect(summary).toMatchObject({ updates: 1, policy: "slttk", k: 4, timeSteps: 20 })
    expect(config).toMatchObject({ size: 48, dropout: 0.4, optimizer: "sgd" })
  })

  /** A greyscale PNG (ISO/IEC 15948): 8 bits, no filter. */
  const png = (side: number, value: (i: number) => number): Uint8Array => {
    const chunk = (type: string, data: Uint8Array) => {
      const body = Buffer.concat([Buffer.from(type), data])
      const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)]
      length.writeUInt32BE(data.length)
      checksum.writeUInt32BE(crc32(body))
      return Buffer.concat([length, body, checksum])
    }
    const header = Buffer.alloc(13)
    header.writeUInt32BE(side, 0)
    header.writeUInt32BE(side, 4)
    header[8] = 8
    const rows = Buffer.concat(
      Array.from({ length: side }, (_, y) =>
        Buffer.from([0, ...Array.from({ length: side }, (_, x) => value(y * side + x))]),
      ),
    )
    const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
    return Buffer.concat([
      signature,
      chunk("IHDR", header),
      chunk("IDAT", deflateSync(rows)),
      chunk("IEND", Buffer.alloc(0)),
    ])
  }

  test("of both ImageNet stages: the second starts from the first stage's parameters, or from a file", async () => {
    const data = join(place, "images")
    for (const part of ["train", "val"])
      for (const [label, name] of ["cat", "dog"].entries()) {
        mkdirSync(join(data, part, name), { recursive: true })
        for (let n = 0; n < 4; n++)
          writeFileSync(
            join(data, part, name, `${n}.png`),
            png(40, (i) => (i * (3 + n) + 90 * label) % 256),
          )
      }
    const flags = ["--data-dir", data, "--size", "32"]
    await train("imagenet-nfresnet34-stage1", "stage1", ...flags)
    const frozen = [...flags, "--lr", "1e-30"]
    const first = await tensorsOf("stage1")
    const init = join(place, "stage1")
    const { config } = await train("imagenet-nfresnet34-stage2-slttk2", "stage2", ...frozen, "--init", init)
    expect(config).toMatchObject({ init, timeSteps: 6, weightDecay: 0 })
    // With a learning rate near 0, the weights keep their initial values.
    expect(await tensorsOf("stage2")).toEqual(first)
    // A checkpoint of the run, and its PyTorch export.
    for (const file of ["stage1/best.safetensors", "stage1-exported.safetensors"]) {
      const out = `of-${file.replaceAll("/", "-")}`
      await train("imagenet-nfresnet34-stage2-sltt", out, ...frozen, "--init", join(place, file))
      expect(await tensorsOf(out)).toEqual(first)
    }
    // For another network's parameters, every mismatched tensor is named.
    const { code, stderr } = await run(
      ...["train", "--config", recipe("imagenet-nfresnet34-stage2-sltt"), ...small, ...flags],
      ...["--width", "0.05", "--init", init, "--out", join(place, "none")],
    )
    expect(code).toBe(2)
    expect(stderr).toContain("misshapen")
    expect(stderr).toContain("conv1.weight (7×7×3×2, here 7×7×3×3)")
  }, 60_000)

  /** The parameters after a run, exported. */
  const tensorsOf = async (out: string) => {
    const file = join(place, `${out}-exported.safetensors`)
    expect((await run("export", join(place, out), "--out", file)).code).toBe(0)
    const { tensors } = await Effect.runPromise(Safetensors.decode(await Bun.file(file).bytes(), file))
    return Object.fromEntries([...tensors].map(([name, { values }]) => [name, [...values]]))
  }
})
