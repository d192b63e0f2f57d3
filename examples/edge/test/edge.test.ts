/** The worker in workerd, tested over HTTP, with a Durable Object whose storage is a folder. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { platform, tmpdir } from "node:os"
import { join } from "node:path"
import { load } from "@spikeroute/backend-wasm/infer"
import { Safetensors } from "@spikeroute/core"
import { keptConnection } from "@spikeroute/test-support/connection"
import { Effect } from "effect"
import { bundle, type Host, type HostOptions, start } from "../scripts/host.ts"
import { isolateMemory, many, runtimes, sampleRequest } from "../scripts/load.ts"
import { openLearner } from "../src/learner.ts"
import { classes, kernels, learningRate, program, programOf, sampleOf, timeSteps, token } from "./fixture.ts"

const storage = mkdtempSync(join(tmpdir(), "spikeroute-edge-"))
let modules: NonNullable<HostOptions["modules"]>
let host: Host

const startWith = (options: Partial<HostOptions>) =>
  start({ program, storage, token, learningRate, modules, ...options })

beforeAll(async () => {
  modules = await bundle()
  host = await startWith({})
}, 60_000)

afterAll(async () => {
  await host.close()
  rmSync(storage, { recursive: true, force: true })
})

const at = (path: string) => new URL(path, host.url)
const predict = async (sample: Float32Array<ArrayBuffer>, query = "") => {
  const response = await fetch(at(`/predict${query}`), sampleRequest(sample))
  expect(response.status).toBe(200)
  return (await response.json()) as { class: number; outputs: Array<number>; steps: number; update: number }
}
const learn = async (index: number) => {
  const response = await fetch(at(`/learn?label=${index % classes}`), sampleRequest(sampleOf(index), token))
  expect(response.status).toBe(200)
  return { index, ...((await response.json()) as { update: number; loss: number }) }
}
const weights = async () => {
  const response = await fetch(at("/weights"), { headers: { authorization: `Bearer ${token}` } })
  expect(response.status).toBe(200)
  return [...new Uint8Array(await response.arrayBuffer())]
}
const updates = async () => ((await (await fetch(host.url)).json()) as { update: number }).update

test("describes its input, predicts with the library's bits, and stops early when given a margin", async () => {
  expect(await (await fetch(host.url)).json()).toMatchObject({
    shape: [8, 8, 2],
    timeSteps,
    encoding: "frames",
    classes,
    update: 0,
  })
  const model = load(kernels, program)
  for (let i = 0; i < 6; i++) {
    const expected = model.predict(sampleOf(i))
    const found = await predict(sampleOf(i))
    expect(found).toEqual({ class: expected.classes[0] as number, outputs: [...expected.outputs], steps: 4, update: 0 })
  }
  const { margin, steps } = { margin: 0.05, steps: model.predict(sampleOf(0), { margin: 0.05 }).meanSteps }
  expect(steps).toBeLessThan(timeSteps)
  expect((await predict(sampleOf(0), `?margin=${margin}`)).steps).toBe(steps)
})

describe("malformed requests get a 4xx and one line, and change nothing stored", () => {
  const good = sampleOf(0)
  const octets = { "content-type": "application/octet-stream" }
  const guarded = { ...octets, authorization: `Bearer ${token}` }
  const holding = (value: number) => good.map((each, i) => (i === 77 ? value : each))
  const endless = () =>
    new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(65536)),
    })
  const cases: ReadonlyArray<readonly [string, string, () => RequestInit, number, string]> = [
    ["another path", "/teach", () => ({ method: "POST" }), 404, 'there is no "/teach"'],
    ["another method", "/predict", () => ({ method: "GET" }), 405, "/predict takes POST"],
    ["no body", "/predict", () => ({ method: "POST", headers: octets }), 400, "the body has 0 bytes"],
    [
      "truncated",
      "/predict",
      () => ({ body: good.slice(0, -1), headers: octets }),
      400,
      "a sample of 4×8×8×2 float32s has 2048",
    ],
    [
      "a byte short",
      "/learn?label=1",
      () => ({ body: new Uint8Array(2047), headers: guarded }),
      400,
      "the body has 2047 bytes",
    ],
    [
      "of another shape",
      "/learn?label=1",
      () => ({ body: good.slice(0, 64), headers: guarded }),
      400,
      "the body has 256 bytes",
    ],
    ["huge", "/predict", () => ({ body: new Uint8Array(50_000_000), headers: octets }), 413, "the body is too large"],
    [
      "huge, to learn",
      "/learn?label=1",
      () => ({ body: new Uint8Array(2052), headers: guarded }),
      413,
      "a sample is 2048 bytes",
    ],
    ["without end", "/predict", () => ({ body: endless(), headers: octets }), 413, "the body is too large"],
    [
      "of another type",
      "/learn?label=1",
      () => ({ body: "{}", headers: { ...guarded, "content-type": "application/json" } }),
      415,
      'the body is "application/json"',
    ],
    [
      "of another type with a parameter",
      "/predict",
      () => ({ body: "{}", headers: { "content-type": "Application/JSON; charset=utf-8" } }),
      415,
      'the body is "Application/JSON; charset=utf-8"',
    ],
    [
      "with terminal escape sequences in the type",
      "/predict",
      () => ({ body: "{}", headers: { "content-type": `a\t${"b".repeat(300)}` } }),
      415,
      `the body is "a\\t${"b".repeat(57)}…"`,
    ],
    ["a long URL", `/${"x".repeat(3000)}`, () => ({ body: good, headers: octets }), 414, "the URL is longer"],
    ["a path that is no text", "/%", () => ({ method: "GET" }), 404, 'there is no "/%"'],
    [
      "not a number",
      "/learn?label=1",
      () => ({ body: holding(Number.NaN), headers: guarded }),
      400,
      "value 77 of the sample is NaN",
    ],
    [
      "infinite",
      "/predict",
      () => ({ body: holding(Number.POSITIVE_INFINITY), headers: octets }),
      400,
      "value 77 of the sample is Infinity",
    ],
    [
      "no label",
      "/learn",
      () => ({ body: good, headers: guarded }),
      400,
      "?label= has to be a whole number from 0 to 2",
    ],
    ...["3", "-1", "1.5", "one", "", "1e0", "NaN", "99999999999999999999"].map(
      (label) =>
        [
          `label ${label}`,
          `/learn?label=${label}`,
          () => ({ body: good, headers: guarded }),
          400,
          "?label= has to be a whole number",
        ] as const,
    ),
    ["a label twice", "/learn?label=1&label=2", () => ({ body: good, headers: guarded }), 400, "is given 2 times"],
    ["a slip", "/predict?margn=1", () => ({ body: good, headers: octets }), 400, 'there is no ?"margn"'],
    ...["-1", "much", "1e9999", "9".repeat(400)].map(
      (margin) =>
        [
          `margin ${margin.slice(0, 9)}`,
          `/predict?margin=${margin}`,
          () => ({ body: good, headers: octets }),
          400,
          "?margin=",
        ] as const,
    ),
    ["no token", "/learn?label=1", () => ({ body: good, headers: octets }), 401, "this needs the write token"],
    [
      "another token",
      "/learn?label=1",
      () => ({ body: good, headers: { ...octets, authorization: "Bearer nothing" } }),
      401,
      "this needs the write token",
    ],
    ["no token to read", "/weights", () => ({ method: "GET" }), 401, "this needs the write token"],
  ]

  let before: Array<number>
  beforeAll(async () => {
    await learn(0)
    before = await weights()
  })
  test.each(cases)("%s", async (_, path, init, status, line) => {
    const response = await fetch(at(path), { method: "POST", ...init() })
    const text = await response.text()
    expect({ status: response.status, lines: text.split("\n").length }).toEqual({ status, lines: 2 })
    expect(text).toContain(line)
    expect(await updates()).toBe(1)
  })
  test("another method: the response lists the allowed ones", async () => {
    for (const [path, allow] of [
      ["/", "GET, HEAD"],
      ["/predict", "POST"],
      ["/weights", "GET, HEAD"],
    ] as const) {
      const response = await fetch(at(path), { method: "PUT" })
      expect({ status: response.status, allow: response.headers.get("allow") }).toEqual({ status: 405, allow })
    }
    expect((await fetch(host.url, { method: "HEAD" })).status).toBe(200)
  })
  test("an invalid Host header", async () => {
    const hosts = ["a b", "[", "[::1", "x:99999", "x:-1", "", "%", "a/b", "a@b", "a#b", "http://x", "\x80"]
    for (const malformed of hosts) {
      const connection = keptConnection(host.url)
      const { status } = await connection.send(`GET / HTTP/1.1\r\nhost: ${malformed}`)
      expect({ malformed, status }).toEqual({ malformed, status: 400 })
      connection.close()
    }
  })
  test("a body that never arrives: other requests are answered meanwhile, and it is refused after the timeout", async () => {
    const [slow, other] = [keptConnection(host.url), keptConnection(host.url)]
    const head = "POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream"
    const answer = slow.send(`${head}\r\ncontent-length: 2048`)
    expect((await other.send(head, new Uint8Array(2048))).status).toBe(200)
    expect((await answer).status).toBe(408)
    slow.close()
    other.close()
  }, 20_000)
  test("the connection stays usable after each refusal", async () => {
    const connection = keptConnection(host.url)
    const head = "HTTP/1.1\r\nhost: x\r\ncontent-type: Application/Octet-Stream; version=1\r\nauthorization: Bearer"
    const sample = new Uint8Array(good.buffer)
    const refused = [
      [`POST /teach ${head} ${token}`, sample, 404],
      [`PUT /predict ${head} ${token}`, sample, 405],
      [`POST /learn?label=1 ${head} nothing`, sample, 401],
      [`POST /learn?label=9 ${head} ${token}`, sample, 400],
      [`POST /learn?label=1 ${head} ${token}`, new Uint8Array(0), 400],
      [`POST /predict ${head} ${token}\r\nhost: y`, sample, 400],
      [`POST /predict?margin=x ${head} ${token}`, sample, 400],
      [`POST /predict ${head} ${token}`, sample.subarray(1), 400],
      [`POST /predict ${head} ${token}`, new Uint8Array(2 ** 20), 413],
      ["POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain", sample, 415],
    ] as const
    for (const [request, body, status] of refused) {
      expect((await connection.send(request, body)).status).toBe(status)
      expect((await connection.send(`POST /predict ${head} ${token}`, sample)).status).toBe(200)
    }
    connection.close()
  })
  test("a body cut off in transit", async () => {
    const socket = connect(Number(host.url.port), host.url.hostname)
    socket.write(
      `POST /learn?label=1 HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\nauthorization: Bearer ${token}\r\ncontent-length: 2048\r\n\r\n`,
    )
    socket.write(new Uint8Array(100))
    await new Promise((resolve) => setTimeout(resolve, 50))
    socket.destroy()
    expect(await updates()).toBe(1)
  })
  test("after all of these, the weights are unchanged", async () => {
    expect(await weights()).toEqual(before)
  })
  test("a sample with a non-finite loss changes nothing", async () => {
    const wild = await startWith({ program: programOf(1e39), storage: join(storage, "wild") })
    const response = await fetch(new URL("/learn?label=1", wild.url), sampleRequest(good, token))
    expect({ status: response.status, text: await response.text() }).toEqual({
      status: 400,
      text: "the sample leads to values that are not finite: nothing was learnt from it\n",
    })
    expect(await (await fetch(wild.url)).json()).toMatchObject({ update: 0 })
    await wild.close()
  })
  test("a sample with non-finite outputs", async () => {
    const wild = await startWith({ program: programOf(1e39), storage: join(storage, "wild") })
    const response = await fetch(new URL("/predict", wild.url), sampleRequest(good.map((value) => value * 1.7e38)))
    expect({ status: response.status, text: await response.text() }).toEqual({
      status: 400,
      text: expect.stringMatching(/^output [^\n]*\n$/),
    })
    await wild.close()
  })
  test("without a write token, nobody can write", async () => {
    const open = await start({ program, modules })
    for (const authorization of ["Bearer ", "Bearer undefined", ""]) {
      const init = { ...sampleRequest(good), headers: { ...octets, authorization } }
      expect((await fetch(new URL("/learn?label=1", open.url), init)).status).toBe(401)
    }
    await open.close()
  })
})

describe("learning", () => {
  /** The weights of a local learner that has learnt these samples in this order. */
  const replayed = (order: ReadonlyArray<number>): Array<number> => {
    const learner = openLearner(kernels, program, undefined, learningRate)
    for (const index of order) learner.learn(sampleOf(index), index % classes)
    return [...learner.weights()]
  }
  /** All samples learnt, in the order of the update numbers that the worker returned. */
  const learnt = [0]
  const note = (results: ReadonlyArray<{ readonly index: number; readonly update: number }>) => {
    for (const { index } of [...results].sort((a, b) => a.update - b.update)) learnt.push(index)
    expect(new Set(results.map(({ update }) => update)).size).toBe(results.length)
  }

  test("concurrent requests are learnt one after the other, with the bits of that order", async () => {
    const results = await many(60, 16, async (i) => {
      const [result, prediction] = await Promise.all([learn(i), predict(sampleOf(i))])
      return { ...result, prediction }
    })
    note(results)
    expect(await updates()).toBe(61)
    expect(await weights()).toEqual(replayed(learnt))
    // Each prediction was made with the weights of the one update that it reports.
    const [learner, model] = [openLearner(kernels, program, undefined, learningRate), load(kernels, program)]
    const expected = new Map<number, ReadonlyArray<number>>()
    const predictAfter = (update: number) => {
      for (const { index, prediction } of results)
        if (prediction.update === update) expected.set(index, [...model.predict(sampleOf(index)).outputs])
    }
    for (const index of learnt) {
      const { update, tensors } = learner.learn(sampleOf(index), index % classes)
      model.load(tensors)
      predictAfter(update)
    }
    for (const { index, prediction } of results) expect(prediction.outputs).toEqual([...(expected.get(index) ?? [])])
  }, 60_000)

  test("queued predictions do not block learning, and requests beyond the limit are told to try again", async () => {
    const flood = Array.from({ length: 200 }, (_, i) => fetch(at("/predict"), sampleRequest(sampleOf(i))))
    const answered: Array<number> = []
    for (const prediction of flood) prediction.then(({ status }) => answered.push(status))
    note([await learn(99)])
    const before = answered.filter((status) => status === 200).length
    const responses = await Promise.all(flood)
    const statuses = responses.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 503]))
    expect(responses.find(({ status }) => status === 503)?.headers.get("retry-after")).toBe("1")
    expect(before).toBeLessThan(statuses.filter((status) => status === 200).length)
  }, 60_000)

  test("samples waiting beside a refused one are learnt as if it had not been sent", async () => {
    const other = await startWith({ storage: join(storage, "mixed") })
    const results = await many(8, 8, async (index) => {
      const sample = index === 0 ? sampleOf(index).map((value) => value * 1.7e38) : sampleOf(index)
      const response = await fetch(new URL(`/learn?label=${index % classes}`, other.url), sampleRequest(sample, token))
      if (response.status === 400) return { index, update: Number.NaN }
      expect(response.status).toBe(200)
      return { index, ...((await response.json()) as { update: number }) }
    })
    expect(results.filter(({ update }) => Number.isNaN(update)).map(({ index }) => index)).toEqual([0])
    const order = results.filter(({ index }) => index !== 0).sort((a, b) => a.update - b.update)
    const stored = await fetch(new URL("/weights", other.url), { headers: { authorization: `Bearer ${token}` } })
    expect([...new Uint8Array(await stored.arrayBuffer())]).toEqual(replayed(order.map(({ index }) => index)))
    await other.close()
  }, 60_000)

  test("learning improves predictions of unseen samples", async () => {
    const accuracy = async () => {
      const found = await many(60, 4, async (i) => (await predict(sampleOf(1000 + i))).class === (1000 + i) % classes)
      return found.filter(Boolean).length / found.length
    }
    note(await many(240, 4, (i) => learn(100 + i)))
    expect(await accuracy()).toBeGreaterThan(0.9)
  }, 60_000)

  test("continues after a restart with the same bits", async () => {
    const [before, prediction] = [await weights(), await predict(sampleOf(7))]
    await host.close()
    host = await startWith({})
    expect(await weights()).toEqual(before)
    expect(await predict(sampleOf(7))).toEqual(prediction)
    note([await learn(8)])
    expect(await weights()).toEqual(replayed(learnt))
  }, 60_000)

  // Finding the workerd processes requires Linux.
  test.if(platform() === "linux")(
    "killed while learning, it keeps every acknowledged update, and its state is intact",
    async () => {
      const before = await updates()
      const answered: Array<number> = []
      const pids = runtimes()
      expect(pids).toHaveLength(1)
      const flood = many(40, 8, async (i) => {
        try {
          const { update } = await learn(500 + i)
          answered.push(update)
          if (answered.length === 12) process.kill(pids[0] as number, "SIGKILL")
        } catch {
          // The worker has been killed.
        }
      })
      await flood
      await host.close()
      host = await startWith({})
      const after = await updates()
      expect(answered.length).toBeLessThan(40)
      expect(after).toBeGreaterThanOrEqual(Math.max(...answered))
      expect(after).toBeLessThanOrEqual(before + 40)
      const { tensors, metadata } = await Effect.runPromise(
        Safetensors.decode(Uint8Array.from(await weights()), "weights"),
      )
      expect(metadata.update).toBe(String(after))
      expect([...tensors.values()].every(({ values }) => values.every(Number.isFinite))).toBe(true)
      expect((await predict(sampleOf(3))).update).toBe(after)
    },
    60_000,
  )
})

describe("what is deployed", () => {
  /** Runs `use` with a worker, which stops afterwards. */
  const deployed = async <A>(program: Uint8Array<ArrayBuffer>, use: (url: URL) => Promise<A>): Promise<A> => {
    const worker = await startWith({ program, storage: join(storage, "deployed") })
    try {
      return await use(worker.url)
    } finally {
      await worker.close()
    }
  }
  const described = async (url: URL) => (await (await fetch(url)).json()) as { update: number; timeSteps: number }
  const predicted = async (url: URL) => {
    const response = await fetch(new URL("/predict", url), sampleRequest(sampleOf(1)))
    return ((await response.json()) as { outputs: ReadonlyArray<number> }).outputs
  }

  test("starts from its own weights; weights deployed before keep what they have learnt", async () => {
    const learnt = await deployed(program, async (url) => {
      for (const index of [0, 1, 2])
        await fetch(new URL(`/learn?label=${index}`, url), sampleRequest(sampleOf(index), token))
      return { ...(await described(url)), outputs: await predicted(url) }
    })
    expect(learnt.update).toBe(3)
    const other = programOf(1.5)
    expect(
      await deployed(other, async (url) => ({ ...(await described(url)), outputs: await predicted(url) })),
    ).toEqual({
      ...learnt,
      update: 0,
      outputs: [...load(kernels, other).predict(sampleOf(1)).outputs],
    })
    expect(
      await deployed(program, async (url) => ({ ...(await described(url)), outputs: await predicted(url) })),
    ).toEqual(learnt)
    // The same weights compiled for other time steps are the same network.
    expect(await deployed(programOf(2, { timeSteps: 6 }), described)).toMatchObject({ update: 3, timeSteps: 6 })
  }, 60_000)

  test.each([
    [
      "that takes several samples at once",
      programOf(2, { batchSize: 3 }),
      "the deployed program takes 3 samples at once, a request holds one: export it with --batch-size 1 and deploy again\n",
    ],
    ["is cut off", program.slice(0, -7), "the deployed program cannot run: "],
    [
      "is no program",
      Safetensors.encode({ tensors: new Map(), metadata: {} }),
      "the deployed program cannot run: not a program file",
    ],
  ])("if it %s, every request is told what to deploy instead", async (_, program, line) => {
    const { status, text } = await deployed(program, async (url) => {
      const response = await fetch(new URL("/predict", url), sampleRequest(sampleOf(1)))
      return { status: response.status, text: await response.text() }
    })
    expect({ status, lines: text.split("\n").length }).toEqual({ status: 500, lines: 2 })
    expect(text).toStartWith(line)
  })
})

test("a thousand requests, 16 at a time, cause no error and leave nothing in memory", async () => {
  const predictions = () =>
    many(500, 16, async (i) => {
      const response = await fetch(at("/predict"), sampleRequest(sampleOf(i % 9)))
      await response.arrayBuffer()
      return response.status
    })
  await predictions()
  const before = await isolateMemory(host)
  expect(new Set(await predictions())).toEqual(new Set([200]))
  const after = await isolateMemory(host)
  // A body is 2 KB: 500 of them would be a megabyte.
  expect(after.buffers).toBe(before.buffers)
  expect(after.heap - before.heap).toBeLessThan(2 ** 18)
}, 60_000)
