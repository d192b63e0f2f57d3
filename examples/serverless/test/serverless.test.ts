import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { dirname, join } from "node:path"
import { keptConnection } from "@spikeroute/test-support/connection"
import { Effect } from "effect"
import { type Functions, makeFunctions, programOf, start } from "../scripts/functions.ts"

const functions: Functions = await makeFunctions()
const sample = Float32Array.from({ length: 28 * 28 }, (_, i) => (i % 7) / 7)
let answer: unknown

afterAll(() => functions.remove())

for (const [name, command] of Object.entries(functions.commands))
  describe(`on ${name}`, () => {
    let running: Awaited<ReturnType<typeof start>>
    beforeAll(async () => {
      running = await start(command)
    })
    afterAll(() => running?.stop())

    const post = async (body: Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | string) => {
      const response = await fetch(running.url, { method: "POST", body })
      return { status: response.status, body: await response.json() }
    }

    test("predicts a sample's class, the same on every runtime", async () => {
      const { status, body } = await post(sample)
      expect(status).toBe(200)
      expect(body).toEqual({ class: expect.any(Number), steps: expect.any(Number) })
      answer ??= body
      expect(body).toEqual(answer)
    })

    test("the connection stays usable after each refusal", async () => {
      const connection = keptConnection(new URL(running.url))
      const bytes = new Uint8Array(sample.buffer)
      const post = "POST / HTTP/1.1\r\nhost: x"
      const refused = [
        ["PUT / HTTP/1.1\r\nhost: x", bytes, 405],
        [post, bytes.subarray(1), 400],
        [post, new Uint8Array(0), 400],
        [post, new Uint8Array(1e6), 413],
        ["POST / HTTP/1.1\r\nhost: a b", bytes, 400],
      ] as const
      for (const [head, body, status] of refused) {
        const answer = await connection.send(head, body)
        expect(answer.status).toBe(status)
        if (status === 405) expect(answer.headers).toMatch(/^allow: POST$/im)
        expect((await connection.send(post, bytes)).status).toBe(200)
      }
      connection.close()
    })

    test("a body announced to be huge is refused before it arrives; one of unannounced length is accepted", async () => {
      const [huge, chunked] = [keptConnection(new URL(running.url)), keptConnection(new URL(running.url))]
      expect((await huge.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999")).status).toBe(413)
      huge.close()
      const head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nc40\r\n"
      const chunks = Buffer.concat([Buffer.from(head), new Uint8Array(sample.buffer), Buffer.from("\r\n0\r\n")])
      expect((await chunked.send(chunks.toString("latin1"))).status).toBe(200)
      chunked.close()
    })

    test("a program or port that cannot be used ends the process with one line", async () => {
      const ended = async (argument: string, env: Readonly<Record<string, string>> = {}) => {
        const child = Bun.spawn([...command.slice(0, -1), argument], {
          env: { ...process.env, ...env },
          stderr: "pipe",
        })
        const [error, code] = await Promise.all([new Response(child.stderr).text(), child.exited])
        expect({ code, lines: error.trimEnd().split("\n").length }).toEqual({ code: 1, lines: 1 })
        return error
      }
      const threes = join(dirname(functions.program), "threes.safetensors")
      await Bun.write(threes, await Effect.runPromise(programOf(3)))
      expect(await ended("nowhere.safetensors")).toContain('"nowhere.safetensors" cannot be read')
      expect(await ended(import.meta.dir)).toContain("cannot be read")
      expect(await ended(import.meta.path)).toContain("cannot be served")
      expect(await ended(threes)).toContain("3 samples at once")
      for (const port of ["-1", "70000", "NaN", ""])
        expect(await ended(functions.program, { PORT: port })).toContain(`PORT is "${port}"`)
      expect(await ended(functions.program, { PORT: new URL(running.url).port })).toContain("is taken")
    }, 30_000)

    test("an invalid sample is refused with one line, and the next sample is answered", async () => {
      expect(await post("short")).toEqual({
        status: 400,
        body: { error: "the body has 5 bytes; a sample of 28×28×1 float32s has 3136" },
      })
      expect((await post(new Uint8Array(1e6))).status).toBe(413)
      expect((await post(sample.map(() => Number.NaN))).status).toBe(400)
      expect((await fetch(running.url)).status).toBe(405)
      expect((await post(sample)).body).toEqual(answer)
    })
  })

test("as a Lambda handler", async () => {
  process.env.PROGRAM = functions.program
  const { handler } = await import(join(dirname(functions.program), "lambda.mjs"))
  const body = Buffer.from(sample.buffer).toString("base64")
  const { statusCode, body: text } = await handler({ body, isBase64Encoded: true })
  expect({ statusCode, body: JSON.parse(text) }).toEqual({ statusCode: 200, body: answer })
  for (const body of ["short", "", null, undefined]) expect((await handler({ body })).statusCode).toBe(400)
  const get = await handler({ requestContext: { http: { method: "GET" } } })
  expect(get).toMatchObject({ statusCode: 405, headers: { allow: "POST" } })
})
