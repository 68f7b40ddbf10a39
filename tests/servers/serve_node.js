// A server over the OpenSSL inside Node.js, as a program: `node serve_node.js JSON`. It moves the
// bytes itself: Node.js would keep the last alert of a handshake that fails to itself.
var fs = require('fs');
var wanted = JSON.parse(process.argv[2]);
var context = require('crypto').createCredentials({
  key: fs.readFileSync(wanted.key),
  cert: fs.readFileSync(wanted.chain),
  ciphers: wanted.suites,
  secureOptions: require('constants').SSL_OP_CIPHER_SERVER_PREFERENCE
}).context;
var Connection = process.binding('crypto').Connection;
var ANSWER = new Buffer('HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok');

function nothing() {}

require('net').createServer(function (socket) {
  var tls = new Connection(context, true, false, false);
  var buffer = new Buffer(65536);
  tls.onhandshakestart = tls.onhandshakedone = tls.onnewsession = nothing;
  tls.onclienthello = function () { tls.loadSession(null); };

  function send() {
    for (var size; (size = tls.encOut(buffer, 0, buffer.length)) > 0;) {
      socket.write(new Buffer(buffer.slice(0, size)));
    }
  }

  socket.on('error', nothing);
  socket.on('data', function (data) {
    for (var at = 0; at < data.length;) {
      at += tls.encIn(data, at, data.length - at);
      while (!tls.error && tls.clearOut(buffer, 0, buffer.length) > 0) {
        tls.clearIn(ANSWER, 0, ANSWER.length);
      }
      if (tls.error) {
        tls.error = null; // it aborts where one is left
        send();
        socket.removeAllListeners('data');
        return socket.end();
      }
      send();
    }
  });
}).listen(wanted.port, wanted.address);
