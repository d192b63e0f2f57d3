import { afterEach, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { keptConnection } from "@spikeroute/test-support/connection"

const main = `${import.meta.dir}/../src/main.ts`
const folder = mkdtempSync(join(tmpdir(), "playground-"))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const start = (...args: ReadonlyArray<string>) =>
  Bun.spawn([process.execPath, main, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" })

test("--build writes a folder that contains every referenced file", async () => {
  const site = join(folder, "site")
  expect(await start("--build", site).exited).toBe(0)
  const names = readdirSync(site)
  expect(names).toContain("index.html")
  const texts = names.filter((name) => /\.(html|js)$/.test(name)).map((name) => readFileSync(join(site, name), "utf8"))
  const named = texts.flatMap((text) =>
    Array.from(text.matchAll(/["'`]\.\/([\w.-]+\.(?:js|css|wasm))["'`]/g), ([, name]) => name!),
  )
  expect(named.filter((name) => name.endsWith(".wasm"))).toHaveLength(2)
  for (const name of named) expect(existsSync(join(site, name))).toBe(true)
})

test("serves the cross-origin isolated page at the printed address", async () => {
  const child = start("--port", "0")
  try {
    const { value } = await child.stdout.getReader().read()
    const [address] = new TextDecoder().decode(value).match(/http:\S+/) ?? []
    const response = await fetch(address!)
    expect(await response.text()).toContain("<title>Spikeroute playground</title>")
    expect(response.headers.get("Cross-Origin-Opener-Policy")).toBe("same-origin")
    expect(response.headers.get("Cross-Origin-Embedder-Policy")).toBe("require-corp")
    expect((await fetch(`${address}none.js`)).status).toBe(404)
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const refused = await fetch(address!, { method })
      expect({ method, status: refused.status }).toEqual({ method, status: 405 })
      expect(refused.headers.get("Allow")).toBe("GET, HEAD")
    }
    expect((await fetch(address!, { method: "HEAD" })).status).toBe(200)
    const statusOf = async (target: string, host: string) => {
      const connection = keptConnection(new URL(address!))
      const { status } = await connection.send(`GET ${target} HTTP/1.1\r\nhost: ${host}`)
      connection.close()
      return status
    }
    const outside = ["/%", "/%00", "/../src/main.ts", "/..%2fsrc%2fmain.ts", "//etc/passwd", "/constructor"]
    for (const target of outside)
      expect({ target, status: await statusOf(target, "x") }).toEqual({ target, status: 404 })
    for (const malformed of ["a b", "[", "[::1", "x:99999", "x:-1", "", "%", "a/b", "a@b", "a#b"])
      expect({ malformed, status: await statusOf("/", malformed) }).toEqual({ malformed, status: 400 })
    const second = start("--port", new URL(address!).port)
    expect(await new Response(second.stderr).text()).toMatch(/^error: port \d+ is taken[^\n]*\n$/)
    expect(await second.exited).toBe(2)
  } finally {
    child.kill()
    await child.exited
  }
})

test.each([
  ["an unknown flag", ["--colour"], "--colour"],
  ...["70000", "NaN", "1e3", "", " 80"].map((port) => ["an invalid port", [`--port=${port}`], "0 … 65535"] as const),
  ["a negative port", ["--port", "-1"], "--port"],
  ["terminal escape sequences", ["a\u001b[31m"], "a\\u001b[31m"],
  ["a folder that cannot be created", ["--build", `${main}/site`], "cannot be written"],
  ["a file as the output folder", ["--build", main], "is a file"],
])("%s is refused with one line", async (_, args, said) => {
  const child = start(...args)
  const error = await new Response(child.stderr).text()
  expect(await child.exited).toBe(2)
  expect(error).toContain(said)
  expect(error.trim().split("\n")).toHaveLength(1)
})
