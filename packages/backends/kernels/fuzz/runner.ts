/** A runner process: the C sources compiled with sanitizers for one vector width, and runner.c. */
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const sources = fileURLToPath(new URL("../c/", import.meta.url))
const runner = fileURLToPath(new URL("./runner.c", import.meta.url))

const flags =
  "-std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -ffp-contract=off -fno-math-errno".split(
    " ",
  )

/** Compiler flags by vector width in bytes. */
const widths: Readonly<Record<number, string>> = {
  16: "-DVECTOR_BYTES=16 -msse4.2 -mpopcnt",
  32: "-DVECTOR_BYTES=32 -mavx2 -mfma -mbmi -mbmi2 -mlzcnt -mpopcnt",
  64: "-DVECTOR_BYTES=64 -mavx2 -mfma -mbmi -mbmi2 -mlzcnt -mpopcnt -mavx512f -mavx512dq -mavx512bw -mavx512vl",
}

const compile = async (args: ReadonlyArray<string>): Promise<void> => {
  const child = Bun.spawn([process.env.CC || "cc", ...args], { stderr: "pipe" })
  const said = await child.stderr.text()
  if ((await child.exited) !== 0) throw new Error(said.slice(0, 2000))
}

/** Whether a compiler with the sanitizers is available. */
export const canBuild = async (): Promise<boolean> => {
  const folder = await mkdtemp(join(tmpdir(), "spikeroute-fuzz-"))
  try {
    const source = join(folder, "empty.c")
    await Bun.write(source, "int main(void) { return 0; }\n")
    await compile(["-fsanitize=address,undefined", source, "-o", join(folder, "empty")])
    return true
  } catch {
    return false
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Vector widths that the processor supports. */
const widthsHere = async (): Promise<ReadonlyArray<number>> => {
  const info = await Bun.file("/proc/cpuinfo").text()
  return [16, ...(info.includes(" avx2") ? [32] : []), ...(info.includes(" avx512bw") ? [64] : [])]
}

/** The answer of a runner: a refusal code, or the arena after the run. */
export type Answer = number | Uint32Array

export interface Runner {
  readonly width: number
  readonly run: (program: Int32Array, arena: Uint32Array, calls: Int32Array) => Promise<Answer>
  readonly close: () => void
}

const start = (width: number, binary: string): Runner => {
  const child = Bun.spawn([binary], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ASAN_OPTIONS: "detect_leaks=0", UBSAN_OPTIONS: "print_stacktrace=1" },
  })
  const reader = child.stdout.getReader()
  let left = new Uint8Array()
  const read = async (bytes: number): Promise<Uint8Array> => {
    const parts = [left]
    let have = left.length
    while (have < bytes) {
      const { value, done } = await reader.read()
      if (done) throw new Error((await child.stderr.text()).split("\n").slice(0, 14).join("\n"))
      parts.push(value)
      have += value.length
    }
    const all = Buffer.concat(parts)
    left = new Uint8Array(all.subarray(bytes))
    return new Uint8Array(all.subarray(0, bytes))
  }
  return {
    width,
    run: async (program, arena, calls) => {
      for (const part of [Int32Array.of(program.length), program, Int32Array.of(arena.length), arena])
        child.stdin.write(part)
      child.stdin.write(Int32Array.of(calls.length / 2))
      child.stdin.write(calls)
      child.stdin.flush()
      const [status = 0] = new Int32Array((await read(4)).buffer)
      return status !== 0 ? status : new Uint32Array((await read(4 * arena.length)).buffer)
    },
    close: () => child.kill(),
  }
}

/** Builds and starts a runner for every supported vector width. `close` ends it. */
export const startRunners = async (): Promise<ReadonlyArray<Runner>> => {
  const folder = await mkdtemp(join(tmpdir(), "spikeroute-fuzz-"))
  try {
    const units = (await readdir(sources)).filter((name) => name.endsWith(".c") && name !== "thread-pool.c")
    const here = await widthsHere()
    const objects = here.flatMap((width) =>
      [...units.map((name) => join(sources, name)), runner].map((source, i) => ({
        width,
        object: join(folder, `${width}-${i}.o`),
        args: [...flags, ...(widths[width] as string).split(" "), `-I${sources}`, "-c", source],
      })),
    )
    const left = objects.values()
    const work = async () => {
      for (const { object, args } of left) await compile([...args, "-o", object])
    }
    await Promise.all(Array.from({ length: availableParallelism() }, work))
    return await Promise.all(
      here.map(async (width) => {
        const binary = join(folder, `runner-${width}`)
        const own = objects.filter((each) => each.width === width).map(({ object }) => object)
        await compile(["-fsanitize=address,undefined", ...own, "-o", binary])
        const process = start(width, binary)
        // Once it has answered it is loaded, and its file may be deleted.
        await process.run(Int32Array.of(0), new Uint32Array(), new Int32Array())
        return process
      }),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
