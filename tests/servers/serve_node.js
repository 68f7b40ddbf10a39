// A server over the OpenSSL inside Node.js, as a program: `node serve_node.js JSON`.
var fs = require('fs');
var wanted = JSON.parse(process.argv[2]);
var options = {
  key: fs.readFileSync(wanted.key),
  cert: fs.readFileSync(wanted.chain),
  ciphers: wanted.suites,
  honorCipherOrder: true
};
require('https').createServer(options, function (request, response) {
  response.end('ok');
}).listen(wanted.port, wanted.address);
