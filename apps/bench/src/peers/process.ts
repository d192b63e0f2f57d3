/** A process of another library that runs iterations on request, with one JSON line per message. See peers/serve.py. */
import { Data, Effect, type Scope } from "effect"
import { childrenOf } from "../method/disturbance.ts"

export class PeerError extends Data.TaggedError("PeerError")<{ readonly command: string; readonly reason: string }> {
  override get message(): string {
    return `${this.command}: ${this.reason}`
  }
}

export interface PeerProcess {
  /** The process and its children. */
  readonly processes: () => ReadonlyArray<number>
  readonly ask: (
    message: Readonly<Record<string, unknown>>,
  ) => Effect.Effect<Readonly<Record<string, unknown>>, PeerError>
}
/** Starts a process, which ends with the scope. */
/** Starts it; it ends with the scope. */
export const start = (command: ReadonlyArray<string>): Effect.Effect<PeerProcess, PeerError, Scope.Scope> =>
  Effect.gen(function* () {
    const name = command.map((part) => part.replace(/.*\//, "")).join(" ")
    const child = yield* Effect.acquireRelease(
      Effect.try({
        try: () => Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "pipe" }),
        catch: () => new PeerError({ command: name, reason: "it cannot be started" }),
      }),
      (child) => Effect.sync(() => child.kill()),
    )
    const reader = child.stdout.getReader()
    const decoder = new TextDecoder()
    const complaint = new Response(child.stderr).text()
    let text = ""
    const line = async (): Promise<string> => {
      while (!text.includes("\n")) {
        const { value, done } = await reader.read()
        if (done) throw new Error((await complaint).trim().split("\n").at(-1) || "it ended")
        text += decoder.decode(value, { stream: true })
      }
      const end = text.indexOf("\n")
      const first = text.slice(0, end)
      text = text.slice(end + 1)
      return first
    }
    return {
      processes: () => [child.pid, ...childrenOf(child.pid)],
      ask: (message) =>
        Effect.tryPromise({
          try: async () => {
            child.stdin.write(`${JSON.stringify(message)}\n`)
            child.stdin.flush()
            const answer = JSON.parse(await line()) as Record<string, unknown>
            if (typeof answer.error === "string") throw new Error(answer.error)
            return answer
          },
          catch: (error) =>
            new PeerError({ command: name, reason: error instanceof Error ? error.message : String(error) }),
        }),
    }
  })
