// onnxruntime on the inference workloads of duet_bench train, from what duet_bench_export_onnx wrote:
// node onnxruntime.cjs PACKAGES FOLDER --threads N --filter NAME --seconds S
// PACKAGES is where npm put onnxruntime-node. Timed as ../steps.hpp does; one JSON object a line.
const fs = require('fs');
const path = require('path');
const [packages, folder, ...rest] = process.argv.slice(2);
const module_ = path.join(packages, 'node_modules', 'onnxruntime-node');
const ort = require(module_);
const { version } = require(path.join(module_, 'package.json'));
const options = { threads: '1', filter: '', seconds: '3' };
for (let i = 0; i + 1 < rest.length; i += 2) options[rest[i].replace(/^--/, '')] = rest[i + 1];

async function measure(name) {
  const shape = fs.readFileSync(path.join(folder, `${name}.txt`), 'utf8').trim().split('\n').map(Number);
  const session = await ort.InferenceSession.create(path.join(folder, `${name}.onnx`),
    { intraOpNumThreads: Number(options.threads), interOpNumThreads: 1, graphOptimizationLevel: 'all' });
  const size = shape.reduce((a, b) => a * b, 1);
  const input = new ort.Tensor('float32', Float32Array.from({ length: size }, () => 2 * Math.random() - 1), shape);
  for (let i = 0; i < 2; ++i) await session.run({ input });
  const runs = [];
  for (let total = 0; runs.length < 3 || total < Number(options.seconds) * 1000;) {
    const start = process.hrtime.bigint();
    await session.run({ input });
    runs.push(Number(process.hrtime.bigint() - start) / 1e6);
    total += runs[runs.length - 1];
  }
  runs.sort((a, b) => a - b);
  return {
    library: 'onnxruntime', case: name, min_ms: runs[0], median_ms: runs[runs.length >> 1], steps: runs.length,
    resident_mb: Math.round(process.resourceUsage().maxRSS / 1024), version,
  };
}

async function main() {
  for (const file of fs.readdirSync(folder).filter(f => f.endsWith('.onnx'))) {
    const name = path.basename(file, '.onnx');
    if (!options.filter || options.filter === name) console.log(JSON.stringify(await measure(name)));
  }
}
main().catch(error => { console.error(String(error)); process.exit(1); });
