// Decides requests by the statements of policies. Each line of standard input is a JSON list of simulations; it is
// answered by a line with a JSON list of {"outcome", "why"} in the same order.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { runSimulation } = createRequire(process.argv[2])('@cloud-copilot/iam-simulate')

for await (const line of createInterface({ input: process.stdin })) {
  const answers = []
  for (const simulation of JSON.parse(line)) {
    const answer = await runSimulation(simulation, {})
    answers.push(
      answer.resultType === 'error'
        ? { outcome: 'Error', why: JSON.stringify(answer.errors) }
        : { outcome: answer.overallResult, why: '' }
    )
  }
  process.stdout.write(JSON.stringify(answers) + '\n')
}
