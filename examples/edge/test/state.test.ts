/** The worker's initial state: its settings, the weights of its program, the stored weights. */
import { Database } from "bun:sqlite"
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { layoutOf } from "@spikeroute/core/safetensors-layout"
import { bundle, type Host, type HostOptions, start } from "../scripts/host.ts"
import { sampleRequest } from "../scripts/load.ts"
import { settingsOf } from "../src/settings.ts"
import { learningRate, program, programOf, sampleOf, token } from "./fixture.ts"

const storage = mkdtempSync(join(tmpdir(), "spikeroute-edge-state-"))
let modules: NonNullable<HostOptions["modules"]>
beforeAll(async () => {
  modules = await bundle()
}, 60_000)
afterAll(() => rmSync(storage, { recursive: true, force: true }))

/** Runs `use` with a worker, which stops afterwards. */
const running = async <A>(options: Partial<HostOptions>, use: (host: Host) => Promise<A>): Promise<A> => {
  const host = await start({ program, token, learningRate, modules, ...options })
  try {
    return await use(host)
  } finally {
    await host.close()
  }
}
const post = async ({ url }: Host, path: string) => {
  const response = await fetch(new URL(path, url), sampleRequest(sampleOf(1), token))
  const text = await response.text()
  return { status: response.status, text, json: response.ok ? JSON.parse(text) : undefined }
}
const learn = (host: Host) => post(host, "/learn?label=1")
const predict = (host: Host) => post(host, "/predict")

describe("settings", () => {
  test.each(["", " ", "fast", "0", "-0.1", "1.5", "NaN", "Infinity", "1e-60"])(
    "LEARNING_RATE=%p is invalid",
    (rate) => {
      expect(() => settingsOf({ LEARNING_RATE: rate })).toThrow(
        expect.objectContaining({ _tag: "DeploymentError", message: expect.stringContaining("LEARNING_RATE") }),
      )
    },
  )
  test.each(["", " a", "a ", "a\nb", "ä"])(
    "WRITE_TOKEN=%p cannot be sent in a header, and is not revealed",
    (token) => {
      expect(() => settingsOf({ WRITE_TOKEN: token })).toThrow(
        expect.objectContaining({
          _tag: "DeploymentError",
          message: "WRITE_TOKEN must be printable ASCII characters, at least one, without spaces at its ends",
        }),
      )
    },
  )
  test("valid and missing settings", () => {
    expect(settingsOf({ LEARNING_RATE: "0.5", WRITE_TOKEN: "a b" })).toEqual({ learningRate: 0.5, token: "a b" })
    expect(settingsOf({})).toEqual({ learningRate: Math.fround(0.003), token: undefined })
  })
  test("a worker with an invalid setting answers every request with the setting's name", () =>
    running({ learningRate: "0,01" }, async (host) => {
      for (const path of ["/", "/predict", "/learn?label=1", "/weights"]) {
        const { status, text } = await post(host, path)
        expect(status).toBe(500)
        expect(text).toMatch(/^LEARNING_RATE is "0,01"; [^\n]+\n$/)
      }
    }))
})

describe("stored weights", () => {
  /** Runs statements on the database of the only Durable Object in a folder; nothing else may have it open. */
  const change = (folder: string, ...statements: ReadonlyArray<string>) => {
    const [file = ""] = [...new Bun.Glob("**/*.sqlite").scanSync(folder)].filter((name) => !name.includes("metadata"))
    const database = new Database(join(folder, file))
    for (const statement of statements) database.run(statement)
    database.close()
  }

  test("a step that cannot be stored leaves the weights unchanged in memory and in storage", async () => {
    const options = { storage: join(storage, "full") }
    const before = await running(options, async (host) => {
      expect((await learn(host)).json).toMatchObject({ update: 1 })
      return (await predict(host)).json
    })
    // The progress is written last: the tensors written before it are rolled back.
    change(
      options.storage,
      "CREATE TRIGGER full BEFORE INSERT ON progress BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
    )
    await running(options, async (host) => {
      for (let i = 0; i < 2; i++) {
        expect(await learn(host)).toMatchObject({ status: 500, text: "something went wrong here\n" })
        expect((await predict(host)).json).toEqual(before)
      }
    })
    change(options.storage, "DROP TRIGGER full")
    await running(options, async (host) => {
      expect((await predict(host)).json).toEqual(before)
      expect((await learn(host)).json).toMatchObject({ update: 2 })
    })
  }, 60_000)

  const tensor = "3.weight"
  test.each([
    ["NaN", `UPDATE tensors SET bytes = CAST(x'0000c07f' || substr(bytes, 5) AS BLOB) WHERE name = '${tensor}'`],
    ["infinite", `UPDATE tensors SET bytes = CAST(x'0000807f' || substr(bytes, 5) AS BLOB) WHERE name = '${tensor}'`],
    ["truncated", `UPDATE tensors SET bytes = substr(bytes, 5) WHERE name = '${tensor}'`],
    ["shapeless", `UPDATE tensors SET shape = '[' WHERE name = '${tensor}'`],
    ["missing", `DELETE FROM tensors WHERE name = '${tensor}'`],
  ])(
    "%s weights are refused with the tensor's name",
    async (what, statement) => {
      const options = { storage: join(storage, what) }
      await running(options, learn)
      change(options.storage, statement)
      await running(options, async (host) => {
        for (const ask of [predict, learn]) {
          const { status, text } = await ask(host)
          expect(status).toBe(500)
          expect(text).toMatch(/^the stored weights cannot be used: [^\n]*3\.weight[^\n]*\n$/)
        }
      })
    },
    60_000,
  )
})

test.each([Number.NaN, Number.NEGATIVE_INFINITY])(
  "a program with the weight %p is refused with the tensor's name",
  (value) => {
    const damaged = program.slice()
    const layout = layoutOf(damaged)
    if ("reason" in layout) throw new Error(layout.reason)
    const { from = 0, to } = layout.entries.get("3.weight") ?? { to: 0 }
    new DataView(damaged.buffer).setFloat32(to - 4, value, true)
    expect(to).toBeGreaterThan(from)
    return running({ program: damaged }, async (host) => {
      for (const ask of [predict, learn]) {
        const { status, text } = await ask(host)
        expect(status).toBe(500)
        expect(text).toMatch(/^the deployed program cannot run: tensor "?3\.weight[^\n]*\n$/)
      }
    })
  },
)

test("tied outputs give the first of the largest, and no margin", () =>
  running({ program: programOf(0) }, async (host) => {
    expect((await predict(host)).json).toEqual({ class: 0, outputs: [0, 0, 0], steps: 4, update: 0 })
    expect((await post(host, "/predict?margin=0.001")).json).toMatchObject({ class: 0, steps: 4 })
    expect((await post(host, "/predict?margin=0")).json).toMatchObject({ class: 0, steps: 1 })
  }))
