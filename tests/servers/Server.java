import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/**
 * A TLS server over JSSE: shakes hands, answers one HTTP request, closes.
 *
 * <p>Arguments: address, port, protocols, suites, "server" or "client" (whose order of suites),
 * directory of the certificates, kinds of certificate. Lists are separated by commas.
 */
public final class Server {
    private static final char[] NO_PASSWORD = new char[0];
    private static final int MILLISECONDS = 30_000;

    public static void main(String[] arguments) throws Exception {
        String[] suites = arguments[3].split(",");
        boolean ownOrder = arguments[4].equals("server");

        KeyStore keys = KeyStore.getInstance("PKCS12");
        keys.load(null, NO_PASSWORD);
        for (String kind : arguments[6].split(",")) {
            Path directory = Path.of(arguments[5]);
            PrivateKey key = readKey(directory.resolve(kind + ".key"), kind);
            keys.setKeyEntry(kind, key, NO_PASSWORD, readChain(directory.resolve(kind + ".pem")));
        }
        KeyManagerFactory managers = KeyManagerFactory.getInstance("SunX509");
        managers.init(keys, NO_PASSWORD);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), null, null);

        InetAddress address = InetAddress.getByName(arguments[0]);
        int port = Integer.parseInt(arguments[1]);
        SSLServerSocket listener =
                (SSLServerSocket)
                        context.getServerSocketFactory().createServerSocket(port, 100, address);
        SSLParameters parameters = listener.getSSLParameters();
        parameters.setProtocols(arguments[2].split(","));
        parameters.setCipherSuites(suites);
        parameters.setUseCipherSuitesOrder(ownOrder);
        listener.setSSLParameters(parameters);

        ExecutorService workers = Executors.newCachedThreadPool();
        while (true) {
            SSLSocket socket = (SSLSocket) listener.accept();
            workers.execute(() -> answer(socket));
        }
    }

    private static void answer(SSLSocket socket) {
        try (socket) {
            socket.setSoTimeout(MILLISECONDS);
            socket.startHandshake();
            if (socket.getInputStream().read(new byte[4096]) > 0) {
                String reply = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
                socket.getOutputStream().write(reply.getBytes(StandardCharsets.US_ASCII));
            }
        } catch (IOException | RuntimeException error) {
            System.err.println(error);
        }
    }

    private static PrivateKey readKey(Path file, String kind) throws Exception {
        String body = Files.readString(file).replaceAll("-----[^-]+-----", "");
        byte[] encoded = Base64.getMimeDecoder().decode(body);
        String algorithm = kind.equals("rsa") ? "RSA" : "EC";
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(encoded));
    }

    private static Certificate[] readChain(Path file) throws Exception {
        return CertificateFactory.getInstance("X.509")
                .generateCertificates(new ByteArrayInputStream(Files.readAllBytes(file)))
                .toArray(new Certificate[0]);
    }
}
